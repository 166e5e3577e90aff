"""The record of an environment: single, in a batch, behind wrappers."""

import copy
import pickle
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import stand_in

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.envs.domains.dmlab import real_engine
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.registration import DEFAULT_ID
from flexlam_rl.envs.spec import EnvSpec

GIVEN = {"action_set": "impala9", "frame_skip": 2, "width": 32, "height": 48, "hud": "none"}
SPEC = EnvSpec(
    "dmlab", "litelab", "impala9", ACTION_SETS["impala9"].hash, 2, 32, 48, {"hud": "none", "textures": "procedural"}
)


def test_single_and_batch() -> None:
    env = gym.make(DEFAULT_ID, engine="litelab", **GIVEN)
    batch = gym.make_vec(DEFAULT_ID, num_envs=2, engine="litelab", **GIVEN)
    assert env.unwrapped.env_spec == SPEC == batch.unwrapped.env_spec
    assert env_spec_of(env) == SPEC == env_spec_of(batch) == env_spec_of(batch.envs[1])
    assert batch.get_attr("env_spec") == (SPEC, SPEC)
    for again in (copy.deepcopy(env), pickle.loads(pickle.dumps(batch))):
        assert env_spec_of(again) == SPEC


def test_it_cannot_be_made_to_lie() -> None:
    env = gym.make(DEFAULT_ID, engine="litelab").unwrapped
    assert (env.engine, env.frame_skip, env.textures, env.hud) == ("litelab", 4, "procedural", "full")
    with pytest.raises(AttributeError):
        env.frame_skip = 8
    batch = gym.make_vec(DEFAULT_ID, num_envs=1, engine="litelab")
    with pytest.raises(AttributeError, match="'env_spec' cannot be set"):
        batch.set_attr("env_spec", SPEC)


def test_the_size_is_what_the_outermost_wrapper_shows() -> None:
    cropped = gym.spaces.Box(0, 255, (20, 24, 3), np.uint8)
    env = gym.wrappers.TransformObservation(
        gym.make(DEFAULT_ID, engine="litelab", **GIVEN), lambda frame: frame[:20, :24], cropped
    )
    found = env_spec_of(env)
    assert found is not None and (found.height, found.width) == (20, 24)


def test_processes_of_the_real_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(real_engine, "_owner", None)
    monkeypatch.setenv("FLEXLAM_CACHE_DIR", str(tmp_path / "cache"))
    stand_in.install(monkeypatch, tmp_path)
    batch = gym.make_vec(DEFAULT_ID, num_envs=1, engine="deepmind_lab", **GIVEN)
    found = env_spec_of(batch)
    batch.close()
    assert found is not None and found.differences(SPEC) == [
        "engine 'deepmind_lab' and 'litelab'",
        "textures 'original' and 'procedural'",
    ]


def test_other_environments_have_none() -> None:
    assert env_spec_of(gym.make("CartPole-v1")) is None
    assert env_spec_of(gym.make_vec("CartPole-v1", num_envs=2)) is None
