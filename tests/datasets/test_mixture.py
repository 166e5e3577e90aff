"""Weighted mixtures: how often each item comes, exact resume, and what is refused."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.mixture import Part, open_mixture, read_parts
from flexlam_rl.datasets.samplers import TransitionPairs
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a store of one world, whose frame t is all t."""

    def make(name: str, rows: int, size: int = 8, split: str = "train") -> Path:
        frames = np.arange(rows, dtype=np.uint8)[:, None, None, None].repeat(size, 1).repeat(size, 2).repeat(3, 3)
        origin = Origin(engine=name, frame_skip=len(name))
        with RolloutWriter(tmp_path / name, "level", split, origin, with_actions=False) as writer:
            writer.append_episode(Episode(frames))
        return tmp_path / name

    return make


def drawn(rollouts: Rollouts, count: int, **options: Any) -> list[tuple[int, int]]:
    """(store, row) of the next `count` items."""
    with TransitionPairs(rollouts).batches(7, workers=0, **options) as stream:
        found = [
            (int(a), int(b))
            for _ in range(-(-count // 7))
            for a, b in zip(*map(next(stream).get, ("level", "row")), strict=True)
        ]  # type: ignore[arg-type]
    return found[:count]


def test_a_pass_shows_each_item_as_often_as_its_weight_says(write: Write) -> None:
    """Also between worlds of other engines and rates, whose rollouts are else not read together."""
    parts = read_parts([Path(f"{write('arm', 11)}=3"), Path(f"{write('clip', 21)}=0.4"), write("web", 6)])
    assert [part.weight for part in parts] == [3.0, 0.4, None]
    rollouts = open_mixture(parts)
    pairs = TransitionPairs(rollouts)
    assert len(pairs) == 30 + 8 + 5
    for epoch in range(2):
        items = drawn(rollouts, (epoch + 1) * len(pairs))[epoch * len(pairs) :]
        counts = Counter(items)
        assert [counts[0, row] for row in range(10)] == [3] * 10 and [counts[2, row] for row in range(5)] == [1] * 5
        chosen = sorted(row for store, row in counts if store == 1)
        assert chosen == [0, 2, 5, 7, 10, 12, 15, 17] and sum(counts.values()) == len(pairs)
    assert drawn(rollouts, 43) != drawn(rollouts, 86)[43:], "passes are shuffled anew"
    assert drawn(rollouts, 43) != sorted(drawn(rollouts, 43))


def test_a_stream_goes_on_exactly_and_not_with_other_weights(write: Write) -> None:
    one, two = write("one", 11), write("two", 31)
    with TransitionPairs(open_mixture([Part(one, 2.5), Part(two, 1)])).batches(8, seed=3, workers=1) as whole:
        first = [next(whole) for _ in range(5)]
        state = json.loads(json.dumps(whole.state_dict()))
        rest = [next(whole) for _ in range(12)]
    with TransitionPairs(open_mixture([Part(one, 2.5), Part(two, 1)])).batches(8, seed=3, workers=0) as again:
        again.load_state_dict(state)
        for batch in rest:
            other = next(again)
            assert all((batch[name] == other[name]).all() for name in batch)
    assert len(first) == 5
    other_weights = TransitionPairs(open_mixture([Part(one, 1), Part(two, 1.5)])).batches(8, seed=3, workers=0)
    assert len(other_weights.source) == state["items"]
    with pytest.raises(ValueError, match="cannot be continued on other data"):
        other_weights.load_state_dict(state)


def test_one_folder_without_weights_is_a_collection_as_ever(write: Write) -> None:
    folder = write("one", 11)
    plain = open_mixture(read_parts(folder))
    assert plain.weights is None
    assert TransitionPairs(plain).digest == TransitionPairs([RolloutStore(folder / "level/train.zarr")]).digest
    assert TransitionPairs(open_mixture(read_parts([Path(f"{folder}=2")]))).digest != TransitionPairs(plain).digest


def test_mixture_files(write: Write, tmp_path: Path) -> None:
    write("one", 11), write("two", 6)
    file = tmp_path / "mixture.json"
    file.write_text(json.dumps({"parts": [{"data": "one", "weight": 3}, {"data": "two", "tasks": ["level"]}]}))
    rollouts = open_mixture(read_parts(file))
    assert rollouts.weights == (3.0, 1.0) and len(TransitionPairs(rollouts)) == 35
    for content, sentence in (
        ("[]", "is no mixture file: expected"),
        ('{"parts": []}', "is no mixture file: expected"),
        ('{"parts": [{"path": "one"}]}', "Part 0 of .*: expected data"),
        ('{"parts": [{"data": "one", "weight": true}]}', "weight of part 0 of .* is True: expected a number above 0"),
    ):
        file.write_text(content)
        with pytest.raises(ValueError, match=sentence):
            read_parts(file)


def test_what_does_not_go_together_is_refused(write: Write, tmp_path: Path) -> None:
    one, large = write("one", 11), write("large", 6, size=16)
    for text in ("0", "-1", "x", "nan", "inf", ""):
        with pytest.raises(ValueError, match="expected a number above 0, up to 1000"):
            read_parts([Path(f"{one}={text}")])
    with pytest.raises(Exception, match=r"has frames of shape \(8, 8, 3\), .* has \(16, 16, 3\)"):
        open_mixture([Part(one, 1), Part(large, 1)])
    with pytest.raises(ValueError, match="is in two parts of a mixture"):
        open_mixture([Part(one, 1), Part(one / "level/train.zarr", 2)])
    with pytest.raises(Exception, match="holds no rollouts of split 'test'"):
        open_mixture([Part(one, 1)], split="test")
    with pytest.raises(ValueError, match=r"mix\.json does not exist"):
        read_parts(tmp_path / "mix.json")
