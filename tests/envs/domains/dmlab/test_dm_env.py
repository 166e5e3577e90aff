"""The two dm_env faces: litelab's own, as DeepMind Lab's dmenv_module, and a view of any environment of this
package.
"""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import stand_in

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab import real_engine
from flexlam_rl.envs.registration import DEFAULT_ID, level_id

dm_env = pytest.importorskip("dm_env", reason="dm_env is an optional extra")
specs = dm_env.specs

LEVEL = "contributed/dmlab30/explore_goal_locations_small"


def test_module_face() -> None:
    from flexlam_rl.envs.litelab import dmenv

    config = {"width": "32", "height": "24", "episodeLengthSeconds": "0.2", "randomSeed": "3"}
    env = dmenv.Lab(LEVEL, ["RGB_INTERLEAVED", "VEL.TRANS", "INSTR"], config)
    assert env.action_spec()["FIRE"] == specs.BoundedArray((), np.int32, 0, 1, "FIRE") and len(env.action_spec()) == 7
    steps = [env.step({})]
    while not steps[-1].last():
        steps.append(env.step({"MOVE_BACK_FORWARD": 1, "LOOK_LEFT_RIGHT_PIXELS_PER_FRAME": -20}))
        for name, spec in env.observation_spec().items():
            spec.validate(steps[-1].observation[name])
    assert len(steps) == 13 and steps[0].first() and steps[-1].discount == 0.0
    assert not np.array_equal(steps[-1].observation["RGB_INTERLEAVED"], steps[-2].observation["RGB_INTERLEAVED"])
    assert env.step({}).first()
    with pytest.raises(NotImplementedError, match=r"DEBUG\.PLAYERS\.ID"):
        dmenv.Lab(LEVEL, ["DEBUG.PLAYERS.ID"], {})
    env.close()


def check_view(env: gym.Env, steps: int) -> None:
    from flexlam_rl.envs.domains.dmlab.dm_view import dm_env_view

    view = dm_env_view(env, seed=3)
    spec = view.observation_spec()
    step = view.step(0)
    assert step.first()
    seed = view.info["episode_seed"]
    for k in range(steps):
        step = view.step(k % 4)
        for name, part in spec.items():
            part.validate(step.observation[name])
        assert step.last() == (k == steps - 1)
    assert step.discount == 1.0, "a time-out goes on beyond the last step"
    assert view.step(0).first() and view.info["episode_seed"] != seed
    view.close()


def test_view_of_litelab() -> None:
    env = gym.make(
        DEFAULT_ID,
        engine="litelab",
        observations=["RGB", "INSTR", "DEBUG.POS.TRANS"],
        config={"episodeLengthSeconds": "1"},
    )
    check_view(env, 15)


def test_view_of_the_real_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(real_engine, "_owner", None)
    stand_in.install(monkeypatch)
    env = gym.make(
        level_id("rooms_watermaze"), engine="deepmind_lab", observations=["RGB", "INSTR"], level_cache=str(tmp_path)
    )
    length = stand_in.Recording(stand_in.recordings("rooms_watermaze")[0]).length
    check_view(env, length // 4)


def test_specs_of_spaces() -> None:
    from flexlam_rl.envs.domains.dmlab.dm_view import spec_of

    assert spec_of(gym.spaces.Discrete(3), "a") == specs.DiscreteArray(3, name="a")
    bounded = spec_of(gym.spaces.Box(0, 1, (2,), np.float32), "b")
    assert isinstance(bounded, specs.BoundedArray) and bounded.shape == (2,)
    with pytest.raises(TypeError, match="no spec"):
        spec_of(gym.spaces.Graph(gym.spaces.Discrete(2), None), "c")
