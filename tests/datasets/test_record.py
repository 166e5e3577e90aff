"""What the recording wrapper stores is what was played."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stamps import stamp

from flexlam_rl.datasets.record import RecordRollouts
from flexlam_rl.datasets.recordable import origin_of
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.validate import validate
from flexlam_rl.utils.errors import StoreError


class Counter(gym.Env[Any, Any]):
    """Frames that count; the map restarts every 7 steps, the episode ends after 10 (terminated when odd)."""

    action_space = gym.spaces.Discrete(5)
    level = "counter"
    engine = "litelab"
    frame_skip = 4

    def __init__(self, words: bool = False) -> None:
        image = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
        self.words = words
        self.observation_space = (
            gym.spaces.Dict({"RGB_INTERLEAVED": image, "INSTR": gym.spaces.Text(20)}) if words else image
        )
        self.number = -1

    def _see(self) -> Any:
        frame = stamp(0, self.number, 0, np.array([self.t]))[0]
        return {"RGB_INTERLEAVED": frame, "INSTR": f"word {self.t // 7}"} if self.words else frame

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.number, self.t = self.number + 1, 0
        return self._see(), {"episode_seed": 1000 + self.number}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        end = self.t == 10
        return (
            self._see(),
            float(action) / 2,
            end and self.number % 2 == 1,
            end and self.number % 2 == 0,
            {"map_reset": self.t % 7 == 0},
        )


def play(env: gym.Env[Any, Any], episodes: int) -> list[list[int]]:
    random, actions = np.random.default_rng(0), []
    for _ in range(episodes):
        env.reset()
        taken: list[int] = []
        over = False
        while not over:
            taken.append(int(random.integers(5)))
            _, _, terminated, truncated, _ = env.step(taken[-1])
            over = terminated or truncated
        actions.append(taken)
    return actions


@pytest.mark.parametrize("words", [False, True])
def test_every_finished_episode_is_stored(tmp_path: Path, words: bool) -> None:
    env = RecordRollouts(Counter(words), tmp_path, policy="random", policy_params={"seed": 0})
    played = play(env, 3)
    env.reset()
    env.step(1)
    played += play(env, 1)  # the unfinished episode is not stored
    env.close()
    store = RolloutStore(tmp_path / "counter" / "train.zarr")
    assert validate(store.path).good
    assert store.episodes == 4
    for i, (taken, number) in enumerate(zip(played, (0, 1, 2, 4), strict=True)):
        one = store.episode_at(i)
        np.testing.assert_array_equal(
            one.frames, np.concatenate([stamp(0, number, 0, np.array([t])) for t in range(11)])
        )
        np.testing.assert_array_equal(one.action, taken)
        np.testing.assert_array_equal(one.reward, np.array(taken) / 2)
        assert (one.terminated, one.truncated) == (number % 2 == 1, number % 2 == 0)
        assert one.restart.nonzero()[0].tolist() == [7]
        assert (one.seed, one.key) == (1000 + number, i)
        assert one.instruction == ([f"word {t // 7}" for t in range(11)] if words else "")
    assert store.origin.policy == "random" and store.origin.policy_params == {"seed": 0}


def test_recording_continues_a_store(tmp_path: Path) -> None:
    for expected in (2, 4):
        env = RecordRollouts(Counter(), tmp_path)
        play(env, 2)
        env.close()
        assert RolloutStore(tmp_path / "counter" / "train.zarr").episode_table["key"].tolist() == list(range(expected))


def test_environments_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="found no image among the observations"):
        RecordRollouts(gym.make("CartPole-v1"), tmp_path)


def test_a_dmlab_level_is_recorded_with_its_origin(tmp_path: Path) -> None:
    gym.register("Recorded-v0", entry_point="flexlam_rl.envs.domains.dmlab.env:DMLabEnv")
    env = RecordRollouts(
        gym.make("Recorded-v0", level="rooms_exploit_deferred_effects_train", engine="litelab", frame_skip=60),
        tmp_path,
        policy="forward",
    )
    env.reset(seed=3)
    total, over, frames = 0.0, False, []
    while not over:
        frame, reward, terminated, truncated, _ = env.step(0)
        frames.append(frame)
        total += float(reward)
        over = terminated or truncated
    origin = origin_of(env, "forward")
    env.close()
    store = RolloutStore(tmp_path / "rooms_exploit_deferred_effects_train" / "train.zarr")
    assert store.origin == origin
    assert (origin.engine, origin.action_set, len(origin.action_table), origin.frame_skip) == (
        "litelab",
        "dreamer15",
        15,
        60,
    )
    np.testing.assert_array_equal(store.frames[1:], frames)
    assert store.episode_table["return"].tolist() == [total]
    assert (store.action_native[: store.steps] == [0, 0, 0, 1, 0, 0, 0]).all()
