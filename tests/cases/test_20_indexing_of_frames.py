"""`store.frames[key]` is what NumPy gives for `frames[key]`, errors included."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.datasets import Episode, Origin, RawFrames, RolloutWriter
from flexlam_rl.datasets.store import RolloutStore

N = 9
FRAMES = np.random.default_rng(0).integers(0, 256, (N, 8, 6, 3), dtype=np.uint8)
MASK = np.arange(N) % 3 == 0
RIGHT: list[Any] = [
    *(0, -1, N - 1, -N, np.int8(3), np.uint8(3), np.uint64(2), np.array(4), True, np.False_, None, ...),
    *(
        slice(None),
        slice(3, 7),
        slice(7, 3),
        slice(None, None, -1),
        slice(8, 2, -3),
        slice(-3, None),
        slice(np.int64(1), np.uint8(8), 2),
    ),
    *(
        [1, 2],
        [2, 1, 1],
        [],
        [0, -1],
        range(3),
        MASK,
        MASK.tolist(),
        np.zeros(N, bool),
        np.array([], int),
        np.array([[0, 1], [-1, 8]], np.int8),
    ),
    *(
        (),
        (1, 2),
        (..., 0),
        (slice(1, 3), 0),
        ([0, 1], [2, 3]),
        ([0, 1], slice(None), 0),
        (None, 3),
        (0, None),
        (..., 0, 0, 0, 0),
        (MASK, slice(2)),
    ),
    *(
        FRAMES[..., 0, 0] > 99,
        FRAMES > 99,
        FRAMES[:, :, 0, 0] > 99,
        ([[0], [1]], [1, 2]),
        (0, [0, 1], slice(None), [0, 1]),
        (slice(None, None, -2), [[1]]),
    ),
]
WRONG: list[Any] = [
    *(N, -N - 1, np.uint8(200), np.uint64(2**63), 2**70, 1.0, 1.5, np.float64(2), "a", object()),
    *(
        [9],
        [1.0],
        [None],
        [[0], [1, 2]],
        np.array([], float),
        np.array([True, False]),
        np.ones(N + 1, bool),
        np.ones((N, 7), bool),
    ),
    *((0, 0, 0, 0, 0), (..., ...), (1, "a"), (0, 8), np.array(["1"])),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RolloutStore:
    root: Path = tmp_path_factory.mktemp("frames")
    with RolloutWriter(root, "x", "train", Origin(engine="x"), chunk=2, shard=4) as writer:
        writer.append_episode(Episode(FRAMES, np.arange(N - 1), np.zeros(N - 1)))
    return RolloutStore(writer.path)


@pytest.mark.parametrize("key", RIGHT, ids=lambda key: "object" if type(key) is object else repr(key)[:40])
def test_the_same_as_numpy(store: RolloutStore, tmp_path: Path, key: Any) -> None:
    for found in (store.frames[key], RawFrames(store, tmp_path)[key]):
        assert found.shape == FRAMES[key].shape and found.dtype == np.uint8
        np.testing.assert_array_equal(found, FRAMES[key])
        assert not found.size or found.flags.writeable


@pytest.mark.parametrize("key", WRONG, ids=lambda key: "object" if type(key) is object else repr(key)[:40])
def test_an_error_where_numpy_raises_one(store: RolloutStore, key: Any) -> None:
    with pytest.raises((IndexError, ValueError, OverflowError)):
        FRAMES[key]
    with pytest.raises(IndexError):
        store.frames[key]


def test_reads_of_ranges_mean_what_slices_mean(store: RolloutStore) -> None:
    action = store.action[:]
    for start, stop in ((0, None), (-3, None), (2, -2), (5, 2), (-100, 100), (N, N)):
        np.testing.assert_array_equal(store.frames.read(start, stop), FRAMES[start:stop])
        np.testing.assert_array_equal(RolloutStore(store.path).action.read(start, stop), action[start:stop])
    with pytest.raises(ValueError, match=r"1\.5"):
        store.frames.read_spans(np.array([1.5]), 2)
