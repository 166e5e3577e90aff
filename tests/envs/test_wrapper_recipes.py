"""Recipes of docs/environments.md: Gymnasium's own wrappers around this package's environments and batches."""

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import FrameStackObservation, RecordEpisodeStatistics, RecordVideo
from gymnasium.wrappers import vector as of_batches

import flexlam_rl  # noqa: F401
from flexlam_rl.envs import AsymmetricRewardClipping, LastAction, LastReward, VectorAsymmetricRewardClipping
from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.envs.registration import DEFAULT_ID
from flexlam_rl.utils.video import VideoReader

STEPS = 15
ONE_SECOND = {"engine": "litelab", "config": {"episodeLengthSeconds": "1"}}
# an apple on every cell beside the start: rewards within a second
ORCHARD = {
    "engine": "litelab",
    "level": "explore_object_locations_small",
    "config": {"overrideEntityLayer": "*******\n*PAAAA*\n*******\n", "startAngles": "0 0", "episodeLengthSeconds": "1"},
}


def play(env: Any, action: Any) -> list[Any]:
    """Rewards and infos of one episode or, of a batch, of as many steps."""
    env.reset(seed=0)
    return [env.step(action) for _ in range(STEPS)]


def test_stacked_frames() -> None:
    env = FrameStackObservation(gym.make(DEFAULT_ID, **ONE_SECOND), stack_size=4)
    plain = gym.make(DEFAULT_ID, **ONE_SECOND)
    frames = [plain.reset(seed=0)[0]]
    stacked, _ = env.reset(seed=0)
    assert stacked.shape == (4, 64, 64, 3) and all(np.array_equal(frame, frames[0]) for frame in stacked)
    for _ in range(4):
        frames.append(plain.step(6)[0])
        stacked = env.step(6)[0]
    np.testing.assert_array_equal(stacked, frames[-4:])
    assert env_spec_of(env) == env_spec_of(plain)


def test_stacked_frames_in_a_batch() -> None:
    batch = gym.make_vec(
        DEFAULT_ID,
        num_envs=2,
        vectorization_mode="sync",
        wrappers=[partial(FrameStackObservation, stack_size=4)],
        **ONE_SECOND,
    )
    single = FrameStackObservation(gym.make(DEFAULT_ID, **ONE_SECOND), stack_size=4)
    observation, _ = batch.reset(seed=0)
    assert observation.shape == (2, 4, 64, 64, 3)
    np.testing.assert_array_equal(observation[0], single.reset(seed=0)[0])
    np.testing.assert_array_equal(batch.step(np.full(2, 6))[0][0], single.step(6)[0])


def test_stacked_frames_with_last_action_and_reward() -> None:
    env = FrameStackObservation(LastReward(LastAction(gym.make(DEFAULT_ID, **ONE_SECOND))), stack_size=2)
    env.reset(seed=0)
    observation = env.step(3)[0]
    assert observation["RGB_INTERLEAVED"].shape == (2, 64, 64, 3)
    assert observation["LAST_ACTION"].argmax(axis=1).tolist() == [0, 3] and observation["LAST_ACTION"][0].sum() == 0
    assert observation in env.observation_space


def test_statistics_of_episodes_are_of_true_rewards() -> None:
    env = AsymmetricRewardClipping(RecordEpisodeStatistics(gym.make(DEFAULT_ID, **ORCHARD)))
    plain = gym.make(DEFAULT_ID, **ORCHARD)
    played, expected = play(env, 0), play(plain, 0)
    total = sum(step[1] for step in expected)
    assert total >= 1, "the recipe shows nothing without a reward"
    assert played[-1][4]["episode"]["r"] == total and played[-1][4]["episode"]["l"] == STEPS
    clipped = [step[1] for step in played]
    assert sum(clipped) == pytest.approx(sum(5 * np.tanh(step[1] / 5) for step in expected)) != total


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_statistics_of_a_batch(mode: str) -> None:
    batch = gym.make_vec(DEFAULT_ID, num_envs=2, autoreset_mode=mode, **ORCHARD)
    batch = VectorAsymmetricRewardClipping(of_batches.RecordEpisodeStatistics(batch))
    total = sum(step[1] for step in play(gym.make(DEFAULT_ID, **ORCHARD), 0))
    infos = play(batch, np.zeros(2, int))[-1][4]
    assert infos["episode"]["r"][0] == total and infos["episode"]["l"].tolist() == [STEPS, STEPS]
    assert infos["_episode"].tolist() == [True, True]


def video(path: Path) -> np.ndarray:
    """Frames of a video file."""
    return np.stack([frame for _, frame in VideoReader(path)])


def test_videos(tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="Gymnasium's RecordVideo needs moviepy")
    env = RecordVideo(
        gym.make(DEFAULT_ID, render_mode="rgb_array", render_size=(96, 64), **ONE_SECOND),
        str(tmp_path),
        episode_trigger=lambda episode: True,
    )
    play(env, 6)
    env.close()
    frames = video(tmp_path / "rl-video-episode-0.mp4")
    assert frames.shape == (STEPS + 1, 64, 96, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1, "the player turned"


def test_videos_of_a_batch(tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="Gymnasium's RecordVideo needs moviepy")
    batch = of_batches.RecordVideo(
        gym.make_vec(DEFAULT_ID, num_envs=2, render_mode="rgb_array", render_size=(96, 64), **ONE_SECOND),
        str(tmp_path),
        video_aspect_ratio=(2, 1),
        episode_trigger=lambda episode: True,
    )
    play(batch, np.full(2, 6))
    batch.close()
    (path,) = tmp_path.glob("*.mp4")
    assert video(path).shape[1:] == (64, 192, 3)
