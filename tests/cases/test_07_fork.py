"""Processes may fork after anything here was used."""

import copy
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import flexlam_rl  # noqa: F401  registers the environments
from flexlam_rl.datasets import Episode, Origin, RolloutWriter, TransitionPairs, make_labels
from flexlam_rl.datasets.record import RecordRollouts
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.utils.errors import StoreError, StoreLocked

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
FRAMES = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)


def writer_in(root: Path) -> RolloutWriter:
    return RolloutWriter(root, "x", "train", Origin(engine="x"), chunk=4, shard=8)


def episode(key: int) -> Episode:
    return Episode(FRAMES, np.zeros(8, int), np.zeros(8), key=key)


def in_child(work: Callable[[], object]) -> None:
    """Run it in a forked process, which a minute ends."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            work()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_recorders_in_forked_workers_after_the_parent_recorded(tmp_path: Path) -> None:
    def make(name: str) -> Callable[[], RecordRollouts]:
        options = {"engine": "litelab", "level": "rooms_watermaze", "config": {"episodeLengthSeconds": "1"}}
        return lambda: RecordRollouts(gym.make("FlexLAM-DMLab-v0", **options), tmp_path / name)

    one = make("one")()
    one.reset(seed=0)
    for _ in range(15):
        one.step(0)
    one.close()
    envs = gym.vector.AsyncVectorEnv([make("a"), make("b")], context="fork")
    envs.reset(seed=0)
    for _ in range(16):
        envs.step(np.zeros(2, np.int64))
    envs.close()
    for name in ("a", "b"):
        assert RolloutStore(tmp_path / name / "rooms_watermaze" / "train.zarr").episodes == 1


def test_writing_reading_and_labelling_in_a_child(tmp_path: Path) -> None:
    with writer_in(tmp_path / "mine") as writer:
        writer.append_episode(episode(0))

    def work() -> None:
        with writer_in(tmp_path / "yours") as other:
            other.append_episode(episode(0))
        store = RolloutStore(other.path)
        assert np.array_equal(store.frames[:], FRAMES)
        make_labels(Rollouts([store]), "few", count=2)

    in_child(work)
    assert RolloutStore(tmp_path / "yours" / "x" / "train.zarr").episodes == 1


def test_an_open_writer_belongs_to_its_process(tmp_path: Path) -> None:
    with writer_in(tmp_path) as writer:
        writer.append_episode(episode(0))

        def work() -> None:
            with pytest.raises(StoreError, match="before a fork"):
                writer.append_episode(episode(1))
            with pytest.raises(StoreLocked, match="is being written by process"):
                writer_in(tmp_path)
            writer.close()

        in_child(work)
        writer.append_episode(episode(1))  # the child did not take the lock away
        for duplicate in (copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied"):
                duplicate(writer)
    assert RolloutStore(writer.path).episodes == 2


def test_a_stream_that_was_read_goes_on_in_a_child(tmp_path: Path) -> None:
    with writer_in(tmp_path) as writer:
        writer.append_episode(episode(0))
    pairs = TransitionPairs(RolloutStore(writer.path))
    with pairs.batches(2, seed=np.int64(3), workers=2) as stream, pairs.batches(2, seed=3, workers=0) as expected:
        for _ in range(3):
            assert np.array_equal(next(stream)["row"], next(expected)["row"])
        following = next(expected)["row"]
        in_child(lambda: np.testing.assert_array_equal(next(stream)["row"], following))
        assert np.array_equal(next(stream)["row"], following)


def test_forked_loader_workers_after_a_read_through_tensorstore(tmp_path: Path) -> None:
    torch, tensorstore = pytest.importorskip("torch"), pytest.importorskip("tensorstore")
    with writer_in(tmp_path) as writer:
        writer.append_episode(episode(0))
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{writer.path}/frames/"}}
    assert np.array_equal(tensorstore.open(spec, open=True).result().read().result(), FRAMES)
    pairs = TransitionPairs(RolloutStore(writer.path))
    pairs.read(np.arange(8))
    loader = torch.utils.data.DataLoader(pairs, batch_size=4, num_workers=1, multiprocessing_context="fork", timeout=60)
    found = torch.cat([batch["frames"] for batch in loader])
    assert np.array_equal(found[:, 0].numpy(), FRAMES[:8])
