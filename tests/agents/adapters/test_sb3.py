"""Batches as Stable-Baselines3's VecEnv."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is an optional extra")

from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

from flexlam_rl.agents.adapters.sb3 import SB3VecEnv, make_sb3
from flexlam_rl.envs.domains.dmlab import real_engine
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
from flexlam_rl.envs.registration import DEFAULT_ID
from tests.envs import stand_in

SHORT = {"episodeLengthSeconds": "0.5"}  # 8 steps


class Policy:
    """Stable-Baselines3's PolicyPredictor, at random."""

    def __init__(self, actions: int) -> None:
        self.rng = np.random.default_rng(0)
        self.actions = actions

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        assert observation.dtype == np.uint8 and observation.shape[1:] == (64, 64, 3)
        return self.rng.integers(self.actions, size=len(observation)), state


def test_evaluate_policy() -> None:
    env = VecMonitor(make_sb3(3, level=["rooms_watermaze"] * 3, engine="litelab", config=SHORT, seed=1))
    returns, lengths = evaluate_policy(Policy(15), env, n_eval_episodes=5, return_episode_rewards=True)  # type: ignore[arg-type]
    assert len(returns) == 5 and lengths == [8] * 5


def test_ends_and_infos() -> None:
    env = make_sb3(2, engine="litelab", config=SHORT)
    env.seed(4)
    first = env.reset()
    assert [info["level"] for info in env.reset_infos] == ["explore_goal_locations_small"] * 2
    seeds = [info["episode_seed"] for info in env.reset_infos]
    for k in range(8):
        observations, rewards, dones, infos = env.step(np.zeros(2, int))
        assert rewards.dtype == np.float32 and dones.tolist() == [k == 7] * 2
    assert all(info["TimeLimit.truncated"] and info["terminal_observation"].shape == (64, 64, 3) for info in infos)
    assert [info["episode_seed"] for info in infos] == seeds, "the last info belongs to the episode that ended"
    assert not np.array_equal(infos[0]["terminal_observation"], observations[0])
    env.seed(4)
    assert np.array_equal(env.reset(), first)
    env.close()


def test_instructions_come_as_numbers() -> None:
    env = make_sb3(
        2,
        level="language_execute_random_task",
        observations=["RGB_INTERLEAVED", "INSTR"],
        engine="litelab",
        config=SHORT,
    )
    assert env.reset()["INSTR"].shape == (2, 8)
    for _ in range(8):
        observations, _, dones, infos = env.step(np.zeros(2, int))
    assert dones.all() and infos[1]["terminal_observation"]["INSTR"].shape == (8,)
    assert observations in [observations] and env.observation_space["INSTR"].contains(observations["INSTR"][0])


def test_attributes() -> None:
    env = make_sb3(
        2, level=["rooms_watermaze", "psychlab_visual_search"], engine="litelab", render_mode="rgb_array", config=SHORT
    )
    assert env.get_attr("level") == ["rooms_watermaze", "psychlab_visual_search"]
    assert env.get_attr("frame_skip", 1) == [4]
    assert env.env_is_wrapped(gym.Wrapper) == [False, False]
    env.reset()
    assert env.env_method("render", indices=[0])[0].shape == (240, 320, 3)
    assert [image.shape for image in env.get_images()] == [(240, 320, 3)] * 2
    with pytest.raises(AttributeError, match="cannot be set"):
        env.set_attr("level", "x")


def test_other_autoreset_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="SameStep"):
        SB3VecEnv(DMLabVectorEnv(["rooms_watermaze"]))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_of_the_real_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(real_engine, "_owner", None)
    stand_in.install(monkeypatch)
    monkeypatch.setattr(stand_in.Lab, "end_at", 12)
    env = make_sb3(
        2,
        DEFAULT_ID,
        level="psychlab_visual_search",
        engine="deepmind_lab",
        level_cache=str(tmp_path),
        context="fork",
        seed=0,
    )
    env.reset()
    for _ in range(3):
        _, _, dones, infos = env.step(np.zeros(2, int))
    assert dones.all() and not infos[0]["TimeLimit.truncated"] and infos[0]["engine"] == "deepmind_lab"
    assert env.get_attr("level") == ["psychlab_visual_search"] * 2
    env.close()
