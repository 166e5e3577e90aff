"""No sampler ever returns a wrong neighbour: every frame says where it is from."""

import itertools
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stamps import episode, read_stamps, valid_starts

from flexlam_rl.datasets.cache import RawFrames
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.permutation import Permutation
from flexlam_rl.datasets.samplers import Spans, TransitionPairs, Windows
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.utils.errors import DamagedData

Make = Callable[..., tuple[RolloutStore, list[Episode]]]
Made = tuple[Rollouts, list[list[Episode]]]


def everything(made: list[list[Episode]], span: int) -> set[tuple[int, int, int]]:
    """(level, episode, row) of all valid spans."""
    return {(level, *start) for level, episodes in enumerate(made) for start in valid_starts(episodes, span)}


def check(batch: dict[str, np.ndarray], span: int) -> list[tuple[int, int, int]]:
    """Assert that each item is `span` consecutive frames of one segment; return where they begin."""
    stamps = read_stamps(np.asarray(batch["frames"])).astype(np.int64)
    assert stamps.shape[1] == span
    assert (stamps[:, :, :3] == stamps[:, :1, :3]).all(), "an item crosses a level, an episode or a restart"
    assert (np.diff(stamps[:, :, 3], axis=1) == 1).all(), "an item's frames are no neighbours"
    assert (stamps[:, 0, 0] == np.asarray(batch["level"])).all()
    return [tuple(s) for s in stamps[:, 0, [0, 1, 3]].tolist()]


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("span", [1, 2, 3, 5, 34])
def test_items_are_exactly_the_valid_spans(rollouts: Made, tmp_path: Path, span: int, cache: bool) -> None:
    data, made = rollouts
    spans = Spans(data, span, cache=tmp_path / "cache" if cache else None)
    found = check(spans.read(np.arange(len(spans))), span)
    assert len(found) == len(set(found))
    assert set(found) == everything(made, span)
    last = check(spans.read(np.array([len(spans) - 1])), span)
    assert last == [max(found)]
    for bad in (-1, len(spans)):
        with pytest.raises(IndexError, match=f"of {len(spans)} items"):
            spans.read(np.array([0, bad]))


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("workers", [0, 3])
def test_an_epoch_covers_every_item_once_over_all_ranks(rollouts: Made, world: int, batch: int, workers: int) -> None:
    data, made = rollouts
    pairs = TransitionPairs(data)
    seen: list[tuple[int, int, int]] = []
    counts = set()
    for rank in range(world):
        with pairs.batches(batch, seed=5, rank=rank, world_size=world, epochs=1, workers=workers) as stream:
            parts = [check(b, 2) for b in stream]
        assert all(len(p) == batch for p in parts[:-1])
        counts.add(len(parts))
        seen += itertools.chain.from_iterable(parts)
    assert len(counts) == 1  # every rank takes the same number of steps
    assert len(seen) == len(set(seen)) == len(pairs)
    assert set(seen) == everything(made, 2)


def test_the_last_batch_can_be_left_out(rollouts: Made) -> None:
    pairs = TransitionPairs(rollouts[0])
    with pairs.batches(64, epochs=1, drop_last=True) as stream:
        sizes = [len(b["frames"]) for b in stream]
    assert sizes == [64] * (len(pairs) // 64)


def test_endless_batches_are_full_and_every_epoch_is_complete(rollouts: Made) -> None:
    data, made = rollouts
    windows = Windows(data, 5)
    n = len(windows)
    with windows.batches(50, seed=1) as stream:
        seen = list(itertools.chain.from_iterable(check(next(stream), 5) for _ in range(3 * n // 50 + 1)))
        assert stream.epoch == len(seen) // n
    epochs = [seen[i * n : (i + 1) * n] for i in range(3)]
    assert all(set(epoch) == everything(made, 5) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("workers", [0, 3])
def test_a_saved_cursor_continues_exactly(rollouts: Made, workers: int) -> None:
    def rows(stream: object, count: int) -> list[list[tuple[int, int, int]]]:
        return [check(next(stream), 2) for _ in range(count)]  # type: ignore[call-overload]

    pairs = TransitionPairs(rollouts[0])
    steps = len(pairs) // 16 + 10  # past the end of an epoch
    with pairs.batches(16, seed=9, workers=workers) as stream:
        whole = rows(stream, steps)
    for stop in (0, 1, 7, steps - 1):
        with pairs.batches(16, seed=9, workers=workers) as stream:
            rows(stream, stop)
            state = json.loads(json.dumps(stream.state_dict()))
            rows(stream, 3)  # going on does not change what was saved
        with TransitionPairs(rollouts[0]).batches(16, seed=9, workers=workers) as stream:
            rows(stream, 2)  # read ahead already when the cursor is loaded
            stream.load_state_dict(state)
            assert rows(stream, steps - stop) == whole[stop:]


def test_a_cursor_continues_on_another_number_of_ranks(rollouts: Made) -> None:
    data, made = rollouts
    pairs = TransitionPairs(data)
    seen = []
    for rank in range(2):
        with pairs.batches(8, rank=rank, world_size=2) as stream:
            for _ in range(5):
                seen += check(next(stream), 2)
            state = stream.state_dict()
    for rank in range(3):
        with pairs.batches(5, rank=rank, world_size=3, epochs=1) as stream:
            stream.load_state_dict(state)
            for batch in stream:
                seen += check(batch, 2)
    assert len(seen) == len(set(seen))
    assert set(seen) == everything(made, 2)


def test_a_cursor_of_other_data_is_refused(rollouts: Made, make_store: Make, tmp_path: Path) -> None:
    data, _ = rollouts
    pairs = TransitionPairs(data)
    state = pairs.batches(4, seed=1).state_dict()
    for other, name in (
        (pairs.batches(4, seed=2), "seed"),
        (Windows(data, 3).batches(4, seed=1), "items"),
        (pairs.batches(4, seed=1, shuffle=False), "shuffle"),
    ):
        with other, pytest.raises(ValueError, match=f"A saved data cursor has {name}"):
            other.load_state_dict(state)
    one, _ = make_store(0, [episode(0, 0, 20)], root=tmp_path / "x")
    two, _ = make_store(0, [episode(0, 1, 20)], root=tmp_path / "y")
    with pytest.raises(ValueError, match="digest"):
        TransitionPairs(two).batches(4).load_state_dict(TransitionPairs(one).batches(4).state_dict())


def test_fields_stand_beside_their_frames(rollouts: Made) -> None:
    data, made = rollouts
    pairs = TransitionPairs(data, fields=("action", "previous_action", "reward", "action_native", "terminated"))
    batch = pairs.read(np.arange(len(pairs)))
    for i, (level, number, row) in enumerate(check(batch, 2)):
        one = made[level][number]
        assert batch["action"][i] == one.action[row]
        assert batch["reward"][i] == one.reward[row]
        assert batch["previous_action"][i] == (one.action[row - 1] if row else -1)
        assert (batch["action_native"][i] == one.action_native[row]).all()
    windows = Windows(data, 4, fields=("action", "previous_action"))
    batch = windows.read(np.arange(len(windows)))
    assert batch["action"].shape == (len(windows), 4)
    for i, (level, number, row) in enumerate(check(batch, 4)):
        assert (batch["action"][i] == [*made[level][number].action, -1][row : row + 4]).all()
    with pytest.raises(ValueError, match="Unknown field 'actions'"):
        TransitionPairs(data, fields=("actions",))


def test_the_raw_cache_is_built_once_and_checked(make_store: Make, tmp_path: Path) -> None:
    store, episodes = make_store()
    frames = RawFrames(store, tmp_path / "cache")
    np.testing.assert_array_equal(frames[:], np.concatenate([e.frames for e in episodes]))
    assert len(frames) == store.rows and frames.shape == store.frames.shape
    file = frames.path / "frames.raw"
    before = file.stat().st_mtime_ns
    RawFrames(store, tmp_path / "cache").verify()
    assert file.stat().st_mtime_ns == before
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedData, match="damaged in rows 0 to"):
        RawFrames(store, tmp_path / "cache")
    file.write_bytes(data[:-1])
    with pytest.raises(DamagedData, match="is damaged"):
        RawFrames(store, tmp_path / "cache")


def test_several_processes_share_one_raw_cache(make_store: Make, tmp_path: Path) -> None:
    store, episodes = make_store()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from flexlam_rl.datasets.cache import RawFrames; from flexlam_rl.datasets.store import RolloutStore\n"
        "f = RawFrames(RolloutStore(sys.argv[2]), sys.argv[3]); f.verify(); print(int(f[:].sum()))"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parents[2]), str(store.path), str(tmp_path / "cache")]
    running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    total = int(np.concatenate([e.frames for e in episodes]).sum(dtype=np.int64))
    assert [int(process.communicate()[0]) for process in running] == [total] * 3
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_damage_found_by_a_reading_thread_reaches_the_caller(make_store: Make) -> None:
    store, _ = make_store()
    file = store.frames.shard_path(0)
    data = bytearray(file.read_bytes())
    data[10] ^= 0xFF
    file.write_bytes(data)
    with TransitionPairs(RolloutStore(store.path)).batches(64, epochs=1) as stream:
        for _ in range(2):
            with pytest.raises(DamagedData, match=r"Chunk \d+ of shard 0 of .*frames \(rows \d+ to \d+\) is damaged"):
                for _ in stream:
                    pass


def test_a_dataset_survives_pickling(rollouts: Made) -> None:
    pairs = TransitionPairs(rollouts[0], fields=("action",))
    pairs.read(np.arange(10))
    again = pickle.loads(pickle.dumps(pairs))
    np.testing.assert_array_equal(again.read(np.arange(50))["frames"], pairs.read(np.arange(50))["frames"])
    assert again.digest == pairs.digest


def test_plain_indexing(rollouts: Made) -> None:
    pairs = TransitionPairs(rollouts[0], fields=("action",))
    batch = pairs.read(np.arange(len(pairs)))
    for i in (0, 5, len(pairs) - 1, -1):
        for name, value in pairs[i].items():
            np.testing.assert_array_equal(value, batch[name][i])
    assert sum(1 for _ in zip(pairs, range(10), strict=False)) == 10
    with pytest.raises(IndexError):
        pairs[len(pairs)]


@pytest.mark.parametrize("workers", [0, 2])
def test_torch_data_loader_takes_the_items(rollouts: Made, workers: int) -> None:
    torch = pytest.importorskip("torch")
    data, made = rollouts
    pairs = TransitionPairs(data, fields=("action",))
    loader = torch.utils.data.DataLoader(pairs, batch_size=32, num_workers=workers)
    seen = [where for batch in loader for where in check({k: v.numpy() for k, v in batch.items()}, 2)]
    assert set(seen) == everything(made, 2) and len(seen) == len(pairs)


def test_batches_as_torch_tensors(rollouts: Made) -> None:
    torch = pytest.importorskip("torch")
    pairs = TransitionPairs(rollouts[0], fields=("action",))
    with pairs.batches(16, as_torch=True, pin_memory=True) as stream, pairs.batches(16) as plain:
        for _ in range(5):
            batch, expected = next(stream), next(plain)
            assert batch["frames"].dtype == torch.uint8
            assert batch["frames"].is_pinned() == torch.cuda.is_available()
            for name, values in expected.items():
                np.testing.assert_array_equal(batch[name].numpy(), values)


def test_rollouts_too_short_for_a_window_are_named(make_store: Make) -> None:
    store, _ = make_store(0, [episode(0, 0, 5)])
    with pytest.raises(ValueError, match="No items of 34 rows"):
        Windows(store)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 63, 64, 65, 1000, 4097])
def test_a_permutation_is_a_bijection_and_depends_on_its_key(n: int) -> None:
    every = np.arange(n)
    shuffled = Permutation(n, 3, 0)(every)
    np.testing.assert_array_equal(np.sort(shuffled), every)
    np.testing.assert_array_equal(Permutation(n, 3, 0)(every[::-1]), shuffled[::-1])
    if n > 60:
        assert (Permutation(n, 3, 1)(every) != shuffled).mean() > 0.9
        assert (Permutation(n, 4, 0)(every) != shuffled).mean() > 0.9


def test_a_permutation_looks_random() -> None:
    n, buckets = 1 << 16, 64
    shuffled = Permutation(n - 3, 11, 2)(np.arange(n - 3))
    # successive positions fall into every pair of buckets equally often
    joint = np.histogram2d(shuffled[:-1], shuffled[1:], bins=buckets)[0]
    expected = joint.sum() / buckets**2
    chi = ((joint - expected) ** 2 / expected).sum()
    assert abs(chi - buckets**2) < 6 * np.sqrt(2 * buckets**2)
    assert abs(np.corrcoef(shuffled, np.arange(len(shuffled)))[0, 1]) < 0.02


def test_a_permutation_of_160_million_items_needs_no_table() -> None:
    n = 160_000_000
    permutation = Permutation(n, 0, 0)
    items = permutation(np.arange(n - 100_000, n))
    assert items.min() >= 0 and items.max() < n and len(np.unique(items)) == len(items)
    with pytest.raises(IndexError):
        permutation(np.array([n]))


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import flexlam_rl.datasets as d; [getattr(d, n) for n in d.__all__]; print('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parents[2])], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"
