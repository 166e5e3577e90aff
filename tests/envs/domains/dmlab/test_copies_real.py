"""Copies of environments of the real engine, whose state lies in its own memory: before the first reset, or refused."""

import copy
import pickle
from pathlib import Path

import pytest
import stand_in

from flexlam_rl.envs.domains.dmlab import real_engine
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv


def test_copies_before_and_in_an_episode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(real_engine, "_owner", None)
    stand_in.install(monkeypatch)
    env = DMLabEnv(engine="deepmind_lab", level_cache=str(tmp_path))
    seed = env.np_random_seed
    for copied in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert copied.np_random_seed == seed
        copied.reset()
        copied.step(0)
        copied.close()
    env.reset()
    for how in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled in the middle of an episode") as caught:
            how(env)
        assert "\n" not in str(caught.value)
    env.close()


def test_time_limits_and_options_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import gymnasium as gym
    import numpy as np

    monkeypatch.setattr(real_engine, "_owner", None)
    stand_in.install(monkeypatch)
    options = {"num_envs": 2, "engine": "deepmind_lab", "level_cache": str(tmp_path), "context": "fork"}
    env = gym.make_vec("FlexLAM-DMLab-v0", max_episode_steps=2, **options)
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    assert env.step(np.zeros(2, int))[3].all()
    env.close()
    with pytest.raises(ValueError, match="threads must be an integer of at least 1, got 0"):
        gym.make_vec("FlexLAM-DMLab-v0", threads=0, **options)
