"""Importing the package registers the ids, quickly and without the heavy libraries."""

import json
import subprocess
import sys

import gymnasium as gym

import flexlam_rl
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, OWN
from flexlam_rl.envs.registration import DEFAULT_ID, level_id


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_is_light() -> None:
    out = run(
        "import sys, flexlam_rl; print([m for m in ('torch', 'numba', 'pygame', 'zarr', 'stable_baselines3') if m in "
        "sys.modules])"
    )
    assert out.strip() == "[]"


def test_import_adds_little_to_gymnasiums() -> None:
    """What the import loads beside Gymnasium and numpy is this project's own and the standard library's (seconds differ
    by machine).
    """
    code = (
        "import sys, gymnasium, numpy; a = set(sys.modules); import flexlam_rl; print(sorted(m.split('.')[0] for m "
        "in set(sys.modules) - a))"
    )
    added = set(json.loads(run(code).replace("'", '"')))
    assert added - sys.stdlib_module_names == {"flexlam_rl"}


def test_ids() -> None:
    ids = {name for name in gym.registry if name.startswith("FlexLAM-DMLab")}
    assert ids == {DEFAULT_ID, *map(level_id, [*LEVELS, *OWN])}
    assert level_id("rooms_watermaze") == "FlexLAM-DMLab/rooms_watermaze-v0"
    assert gym.spec(DEFAULT_ID).max_episode_steps is None


def test_spec_survives_json() -> None:
    env = gym.make(
        level_id("rooms_watermaze"),
        engine="litelab",
        observations=["RGB", "VEL.TRANS"],
        config={"mixerSeed": "3"},
        width=32,
        height=32,
    )
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    assert json.loads(env.spec.to_json())["kwargs"]["level"] == "rooms_watermaze"
    again = gym.make(spec)
    assert again.unwrapped.level == "rooms_watermaze"
    assert again.observation_space == env.observation_space
    assert (again.reset(seed=1)[0]["RGB"] == env.reset(seed=1)[0]["RGB"]).all()


def test_public_names_load() -> None:
    from flexlam_rl import envs

    for module in (flexlam_rl, envs):
        for name in module._WHERE:
            assert getattr(module, name) is not None and name in dir(module)
    assert callable(envs.dm_env_view) and callable(flexlam_rl.dm_env_view)
