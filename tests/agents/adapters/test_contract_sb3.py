"""`SB3VecEnv` against Stable-Baselines3's `DummyVecEnv` over the same single environments, method by method."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is an optional extra")

from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor

import flexlam_rl  # noqa: F401
from flexlam_rl.agents.adapters.sb3 import SB3VecEnv, make_sb3
from flexlam_rl.envs.registration import DEFAULT_ID

OPTIONS: dict[str, Any] = {
    "engine": "litelab",
    "width": 8,
    "height": 8,
    "config": {"episodeLengthSeconds": "0.5"},
    "render_mode": "rgb_array",
    "render_size": (16, 12),
    "max_episode_steps": 6,
}


def pair(**options: Any) -> tuple[Any, Any]:
    options = OPTIONS | options
    return make_sb3(3, **options), DummyVecEnv([partial(gym.make, DEFAULT_ID, **options)] * 3)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("limit", [6, None])
def test_play(limit: int | None) -> None:
    ours, theirs = pair(max_episode_steps=limit)
    for env in (ours, theirs):
        env.seed(5)
    assert same(ours.reset(), theirs.reset()) and same(ours.reset_infos, theirs.reset_infos)
    rng = np.random.default_rng(0)
    for k in range(20):
        actions = rng.integers(15, size=3)
        assert same(ours.step(actions), theirs.step(actions)), k
        assert same(ours.reset_infos, theirs.reset_infos), k
    assert same(ours.reset(), theirs.reset())


def outcome(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except Exception as error:
            return next(
                kind for kind in (AttributeError, LookupError, ValueError, Exception) if isinstance(error, kind)
            )


@pytest.mark.parametrize(
    "call",
    [
        lambda env: env.seed(3),
        lambda env: (env.seed(3), env.reset(), list(env.reset_infos), env.reset()),
        lambda env: (env.set_options({"episode_seed": 9}), env.reset(), env.reset_infos),
        lambda env: (
            env.set_options([{"episode_seed": 9}, {}, {"episode_seed": 2}]),
            env.reset(),
            list(env.reset_infos),
            env.reset(),
        ),
        lambda env: (env.set_options(), env.reset()),
        lambda env: (env.set_options({"nonsense": 1}), env.reset()),
        lambda env: env.get_attr("level"),
        lambda env: env.get_attr("level", 1),
        lambda env: env.get_attr("level", -1),
        lambda env: env.get_attr("level", [2, 0]),
        lambda env: env.get_attr("level", np.array([2, 0])),
        lambda env: env.get_attr("level", range(2)),
        lambda env: env.get_attr("level", []),
        lambda env: env.get_attr("level", 3),
        lambda env: env.get_attr("np_random_seed", (1,)),
        lambda env: env.get_attr("metadata"),
        lambda env: env.get_attr("observation_space"),
        lambda env: env.get_attr("nope"),
        lambda env: (env.has_attr("level"), env.has_attr("nope")),
        lambda env: (env.set_attr("note", 4, [0, 2]), env.get_attr("note", [0, 2]), env.has_attr("note")),
        lambda env: (env.set_attr("note", [1, 2]), env.get_attr("note")),
        lambda env: env.env_method("render"),
        lambda env: env.env_method("render", indices=1),
        lambda env: env.env_method("has_wrapper_attr", "engine", indices=[0]),
        lambda env: env.env_method("get_wrapper_attr", name="frame_skip"),
        lambda env: env.env_method("reset", seed=4, indices=[1]),
        lambda env: (env.env_method("reset", seed=4, indices=[1]), env.step(np.array([0, 1, 2]))),
        lambda env: env.env_method("nope"),
        lambda env: env.env_is_wrapped(Monitor),
        lambda env: env.env_is_wrapped(Monitor, [0, 1]),
        lambda env: env.env_is_wrapped(gym.wrappers.TimeLimit, 0),
        lambda env: env.get_images(),
        lambda env: env.render(),
        lambda env: env.render("rgb_array"),
        lambda env: env.render("ansi"),
        lambda env: (env.render_mode, env.metadata, env.num_envs, env.observation_space, env.action_space),
        lambda env: env.unwrapped is env,
        lambda env: (env.step_async(np.array([1, 2, 3])), env.step_wait()),
        lambda env: (env.step([1, 2, 3]), env.step((1, 2, 3)), env.step(np.array([1, 2, 3], np.uint8))),
        lambda env: env.step(np.array([0, 1, 15])),
        lambda env: env.step(np.array([0.0, 1.0, 2.0])),
        lambda env: (env.close(), env.close()),
    ],
)
def test_methods(call: Callable[[Any], Any]) -> None:
    ours, theirs = pair()
    for env in (ours, theirs):
        env.seed(2)
        env.reset()
    assert same(outcome(lambda: call(ours)), outcome(lambda: call(theirs)))


def test_without_a_render_mode_or_limit() -> None:
    for call in (
        lambda env: env.get_images(),
        lambda env: env.render(),
        lambda env: env.env_is_wrapped(gym.wrappers.TimeLimit),
    ):
        ours, theirs = pair(render_mode=None, max_episode_steps=None)
        ours.reset(), theirs.reset()
        assert same(outcome(partial(call, ours)), outcome(partial(call, theirs)))


def test_wrappers() -> None:
    ours, theirs = (VecFrameStack(VecMonitor(env), 2) for env in pair())
    for env in (ours, theirs):
        env.seed(1)
    assert same(ours.reset(), theirs.reset())
    for _ in range(14):
        results = [env.step(np.array([0, 4, 6])) for env in (ours, theirs)]
        for *_, infos in results:
            for info in infos:
                info.get("episode", {}).pop("t", None)  # seconds
        assert same(*results)


def test_what_the_reference_leaves_open_is_a_sentence() -> None:
    env = make_sb3(2, engine="litelab")
    with pytest.raises(RuntimeError, match="step_wait was called before step_async"):
        env.step_wait()
    env.set_options([{}])
    with pytest.raises(ValueError, match="a list of 2"):
        env.reset()
    with pytest.raises(ValueError, match="seed must be None or an integer"):
        env.seed("1")  # type: ignore[arg-type]
    assert env.seed(np.int64(3)) == [3, 4]
    assert env.get_attr("level", np.int64(1)) == ["explore_goal_locations_small"]
    with pytest.raises(IndexError, match="indices must be integers from -2 to 1, got 2"):
        env.get_attr("level", 2)
    with pytest.raises(AttributeError, match="cannot be set"):
        env.set_attr("level", "rooms_watermaze")


def test_other_batches_of_gymnasium() -> None:
    """Of single environments, with infos within infos."""
    makers = [lambda: gym.wrappers.RecordEpisodeStatistics(gym.make(DEFAULT_ID, **OPTIONS))] * 2
    for batch in (
        gym.vector.SyncVectorEnv(makers, autoreset_mode="SameStep"),
        gym.vector.AsyncVectorEnv(makers, autoreset_mode="SameStep"),
    ):
        env = SB3VecEnv(batch)
        env.reset()
        for _ in range(6):
            *_, dones, infos = env.step(np.zeros(2, int))
        assert dones.all() and [info["episode"]["l"] for info in infos] == [6, 6]
        assert [picture.shape for picture in env.env_method("render", indices=[1])] == [(12, 16, 3)]
        env.set_attr("note", 5)
        env.set_attr("note", 6, 1)
        assert env.get_attr("note") == [5, 6]
        env.close()
