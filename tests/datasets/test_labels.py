"""Label subsets: the right number, from the right places, never a copy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stamps import episode

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.labels import load_labels, make_labels
from flexlam_rl.datasets.samplers import TransitionPairs
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.utils.errors import StoreError

Make = Callable[..., tuple[RolloutStore, list[Episode]]]


@pytest.fixture
def levels(make_store: Make) -> Rollouts:
    """Three levels of 600, 900 and 1200 steps."""
    return Rollouts([make_store(i, [episode(i, n, 300, (100,)) for n in range(2 + i)])[0] for i in range(3)])


def test_labels_are_uniform_over_levels_and_disjoint(levels: Rollouts) -> None:
    train, validation = make_labels(levels, "few", fraction=0.1, validation=0.2, seed=3)
    assert len(train) + len(validation) == 270 and len(validation) == 54
    assert [len(rows) for rows in train.rows] == [72, 72, 72] and [len(rows) for rows in validation.rows] == [
        18,
        18,
        18,
    ]
    for store, a, b in zip(levels.stores, train.rows, validation.rows, strict=True):
        assert not set(a) & set(b)
        for rows in (a, b):
            assert rows.dtype == np.int64 and (np.diff(rows) > 0).all()
            assert store.segments.contains(rows, 2).all()
            assert (store.action[:][rows] >= 0).all()


def test_labels_are_read_back_and_sampled(levels: Rollouts) -> None:
    made = make_labels(levels, "few", count=60, seed=1)
    for one, part in zip(made, ("train", "validation"), strict=True):
        read = load_labels(levels, "few", part)
        assert read.digest == one.digest
        assert (
            read.attributes["count"] == 60
            and read.attributes["seed"] == 1
            and read.attributes["levels"] == ["alpha", "beta", "gamma"]
        )
    pairs = TransitionPairs(levels, fields=("action", "previous_action"), labels=made[0])
    assert len(pairs) == 54
    with pairs.batches(10, epochs=1) as stream:
        seen = {
            (int(level), int(row)) for batch in stream for level, row in zip(batch["level"], batch["row"], strict=True)
        }
    assert seen == {(level, int(row)) for level, rows in enumerate(made[0].rows) for row in rows}


def test_a_narrow_source_counts_against_all_steps(levels: Rollouts) -> None:
    train, validation = make_labels(levels, "narrow", fraction=0.05, levels=["beta"])
    assert [len(rows) for rows in train.rows] == [0, round(0.05 * 2700) - len(validation), 0]
    assert len(train) + len(validation) == 135


def test_larger_budgets_contain_smaller_ones_and_keep_their_validation(levels: Rollouts) -> None:
    small, kept = make_labels(levels, "small", count=30, validation=0.5, seed=8)
    large, held = make_labels(levels, "large", count=150, validation=0.1, seed=8)
    other, _ = make_labels(levels, "other", count=30, validation=0.5, seed=9)
    for i in range(3):
        assert set(small.rows[i]) < set(large.rows[i])
        assert set(kept.rows[i]) == set(held.rows[i])
    assert small.digest != other.digest


def test_labels_spread_over_all_transitions(levels: Rollouts) -> None:
    train, _ = make_labels(levels, "many", count=1500, validation=0)
    rows = train.rows[2]
    halves = np.histogram(rows, bins=4, range=(0, levels[2].rows))[0]
    assert halves.min() > 0.7 * halves.mean()


def test_no_frames_are_copied(levels: Rollouts) -> None:
    make_labels(levels, "few", count=300)
    folder = levels[0].path / "labels"
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 5000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "fraction is None, count is None"),
        ({"fraction": 0.1, "count": 3}, "expected exactly one of them"),
        ({"count": 2}, "2 labels is too small for 3 levels"),
        ({"count": 2000}, r"A budget of \d+ labels from .*: it has 5\d\d transitions"),
        ({"count": 30, "levels": ["delta"]}, "Level delta is not among the rollouts"),
        ({"count": 30, "validation": 1.0}, "validation is 1.0"),
    ],
)
def test_impossible_budgets_are_refused(levels: Rollouts, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_labels(levels, "bad", **options)  # type: ignore[arg-type]


def test_names(levels: Rollouts, make_store: Make, tmp_path: Path) -> None:
    make_labels(levels, "few", count=30)
    with pytest.raises(StoreError, match="few exists"):
        make_labels(levels, "few", count=30)
    make_labels(levels, "few", count=33, overwrite=True)
    assert sum(len(load_labels(levels, "few", part)) for part in ("train", "validation")) == 33
    with pytest.raises(StoreError, match="no label set 'many': it has few"):
        load_labels(levels, "many")
    with pytest.raises(ValueError, match="'train' or 'validation'"):
        load_labels(levels, "few", "test")
    with pytest.raises(ValueError, match="Label set name"):
        make_labels(levels, "../few", count=30)
    video, _ = make_store(0, root=tmp_path / "video", with_actions=False)
    with pytest.raises(StoreError, match="has no actions"):
        make_labels(Rollouts([video]), "few", count=3)


def test_labels_that_do_not_fit_are_refused(levels: Rollouts) -> None:
    train, _ = make_labels(levels, "few", count=30)
    with pytest.raises(ValueError, match="covers 3 stores"):
        TransitionPairs(levels[0], labels=train)
    with pytest.raises(ValueError, match="begins no item of 2 rows"):
        TransitionPairs(Rollouts([levels[0]]), labels=type(train)("few", "train", (np.array([300]),), {}))


def test_over_groups_rare_kinds_come_as_often_as_common_ones(levels: Rollouts) -> None:
    rng = np.random.default_rng(0)
    groups = [rng.choice(4, store.rows, p=(0.9, 0.06, 0.03, 0.01)) for store in levels.stores]
    kept = make_labels(levels, "plain", count=120, validation=0.25, seed=2)[1]
    train, validation = make_labels(
        levels, "diverse", count=120, validation=0.25, seed=2, groups=groups, about={"clusters": 4}
    )
    assert validation.digest == kept.digest and load_labels(levels, "diverse").attributes["clusters"] == 4
    for rows, held_out, group, store in zip(train.rows, validation.rows, groups, levels.stores, strict=True):
        assert len(rows) == 30 and not set(rows) & set(held_out) and store.segments.contains(rows, 2).all()
        there = np.bincount(group[np.setdiff1d(np.arange(store.rows), held_out)], minlength=4)
        counts = np.bincount(group[rows], minlength=4)
        rare = there <= 7  # of which there are too few for a fair share
        assert (counts[~rare] >= 7).all() and (counts[rare] > 0).all(), (counts, there)
    again = make_labels(levels, "diverse-2", count=120, validation=0.25, seed=2, groups=groups)[0]
    other = make_labels(levels, "diverse-3", count=120, validation=0.25, seed=3, groups=groups)[0]
    assert again.digest == train.digest != other.digest
    # not even where the validation labels are a kind of their own
    kinds = [
        np.isin(np.arange(store.rows), rows).astype(int)
        for store, rows in zip(levels.stores, validation.rows, strict=True)
    ]
    rival = make_labels(levels, "diverse-4", count=120, validation=0.25, seed=2, groups=kinds)[0]
    assert all(not set(rows) & set(held_out) for rows, held_out in zip(rival.rows, validation.rows, strict=True))
