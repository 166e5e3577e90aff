"""Pictures with their channels first are refused; those of one to four channels are stored as they are."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import flexlam_rl  # noqa: F401  registers the environments
from flexlam_rl.datasets import Episode, Origin, RawFrames, RolloutWriter, TransitionPairs
from flexlam_rl.datasets.record import RecordRollouts
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.validate import validate
from flexlam_rl.utils.errors import StoreError

SHORT = {"engine": "litelab", "config": {"episodeLengthSeconds": "1"}}


@pytest.mark.parametrize("names", [["RGB"], ["BGR_INTERLEAVED"], ["RGB", "INSTR"]])
def test_the_recorder_refuses_them(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(StoreError, match=r"^RecordRollouts [^\n]+$"):
        RecordRollouts(gym.make("FlexLAM-DMLab-v0", observations=names, **SHORT), tmp_path)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_writer_refuses_them_and_takes_the_others(tmp_path: Path, channels: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 12, 16, channels), dtype=np.uint8)
    action, reward = np.zeros(8, int), np.zeros(8)
    with RolloutWriter(tmp_path / "data", "x", "train", Origin(engine="x"), chunk=4, shard=8) as writer:
        with pytest.raises(ValueError, match="the channels last"):
            writer.append_episode(Episode(np.moveaxis(frames, 3, 1), action, reward))
        writer.append_episode(Episode(frames, action, reward))
    store = RolloutStore(writer.path)
    assert validate(store.path).good
    np.testing.assert_array_equal(store.frames, frames)
    np.testing.assert_array_equal(RawFrames(store, tmp_path / "raw")[:], frames)
    np.testing.assert_array_equal(TransitionPairs(store).read(np.arange(8))["frames"][:, 1], frames[1:])


def test_four_channels_are_recorded(tmp_path: Path) -> None:
    env = RecordRollouts(gym.make("FlexLAM-DMLab-v0", observations=["RGBD_INTERLEAVED"], **SHORT), tmp_path)
    seen = [env.reset(seed=0)[0], *(env.step(0)[0] for _ in range(15))]
    env.close()
    np.testing.assert_array_equal(RolloutStore(env.writer.path).frames[:], seen)
