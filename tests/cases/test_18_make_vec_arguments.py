"""What `gym.make` and the other ways to vectorise take, the native batch takes with the same result, or refuses by
name.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.registration import DEFAULT_ID

SHORT = {"episodeLengthSeconds": "0.5"}  # 8 steps


def make(mode: AutoresetMode = AutoresetMode.NEXT_STEP, sync: bool = False, **options: Any) -> Any:
    options = {"num_envs": 2, "engine": "litelab", "width": 8, "height": 8} | options
    if sync:
        return gym.make_vec(DEFAULT_ID, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **options)
    return gym.make_vec(DEFAULT_ID, autoreset_mode=mode, **options)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype == object:
        return same(tuple(a), tuple(b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("limit", [1, 3, 8, 20, -1, None])
def test_max_episode_steps(mode: AutoresetMode, limit: int | None) -> None:
    options = {"max_episode_steps": limit, "config": SHORT}
    ours, theirs = make(mode, **options), make(mode, sync=True, **options)
    assert same(ours.reset(seed=0), theirs.reset(seed=0))
    rng = np.random.default_rng(0)
    ends = 0
    for k in range(24):
        if k == 10:  # a reset by hand begins the count anew
            assert same(ours.reset(), theirs.reset())
        actions = rng.integers(15, size=2)
        result = ours.step(actions)
        assert same(result, theirs.step(actions))
        ends += int(result[3].sum())
    assert ends


def test_a_masked_reset_begins_the_count_anew() -> None:
    mask = np.array([False, True])
    results = []
    for sync in (False, True):
        env = make(AutoresetMode.DISABLED, sync, max_episode_steps=4)
        env.reset(seed=0)
        for _ in range(2):
            env.step(np.array([0, 1]))
        env.reset(options={"reset_mask": mask.copy()})
        results.append([env.step(np.array([0, 1])) for _ in range(2)])
    assert same(tuple(results[0]), tuple(results[1]))
    assert results[0][-1][3].tolist() == [True, False]


def test_numpy_numbers_and_specs() -> None:
    env = make(
        num_envs=np.int64(2),
        max_episode_steps=np.int32(3),
        frame_skip=np.uint8(4),
        threads=np.int64(2),
        width=np.int16(8),
    )
    env.reset(seed=0)
    for _ in range(3):
        *_, truncated, _ = env.step(np.zeros(2, np.uint8))
    assert truncated.all() and env.metadata["render_fps"] == 15
    text = env.spec.to_json()
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(text))
    assert again.num_envs == 2 and again.max_episode_steps == 3
    single = env.get_attr("spec")[1]
    assert gym.make(single).spec.max_episode_steps == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_episode_steps": 0}, "max_episode_steps must be an integer of at least 1, got 0"),
        ({"max_episode_steps": -2}, "max_episode_steps"),
        ({"max_episode_steps": 3.0}, "max_episode_steps"),
        ({"max_episode_steps": True}, "max_episode_steps"),
        ({"max_episode_steps": "3"}, "max_episode_steps"),
        ({"disable_env_checker": False}, "disable_env_checker must be None or True for a batch"),
        ({"disable_env_checker": "yes"}, "disable_env_checker"),
        ({"render_mode": "human"}, "render_mode must be None or 'rgb_array' for a batch, got 'human'"),
        ({"render_mode": "rgb_array_list"}, "render_mode must be None or 'rgb_array' for a batch"),
        ({"additional_wrappers": ()}, "no option 'additional_wrappers'"),
        ({"order_enforce": False}, "no option 'order_enforce'"),
        ({"observation_mode": "same"}, "no option 'observation_mode'"),
        ({"shared_memory": True}, "no option 'shared_memory'"),
        ({"frameskip": 4}, "no option 'frameskip'"),
    ],
)
def test_refusals_name_the_argument(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(**options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"vector_kwargs": {"copy": False}}, {"wrappers": (gym.wrappers.TimeAwareObservation,)}]
)
def test_gymnasium_s_own_refusals_name_the_argument(options: dict[str, Any]) -> None:
    with pytest.raises(gym.error.Error, match=next(iter(options))):
        make(**options)


@pytest.mark.parametrize("disable", [None, True])
def test_disable_env_checker(disable: bool | None) -> None:
    assert make(disable_env_checker=disable).reset(seed=0)


def test_wrappers_work_with_the_other_vectorization_modes() -> None:
    env = make(sync=True, wrappers=(lambda env: gym.wrappers.FrameStackObservation(env, 2),), disable_env_checker=True)
    assert env.reset(seed=0)[0].shape == (2, 2, 8, 8, 3)
