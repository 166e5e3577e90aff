"""The native batch against Gymnasium's `SyncVectorEnv` over the same single environments, method by method."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.registration import DEFAULT_ID

OPTIONS: dict[str, Any] = {
    "num_envs": 3,
    "engine": "litelab",
    "width": 8,
    "height": 8,
    "config": {"episodeLengthSeconds": "0.5"},
    "render_mode": "rgb_array",
    "render_size": (16, 12),
}


def pair(mode: AutoresetMode = AutoresetMode.NEXT_STEP, copy: bool = True, **options: Any) -> tuple[Any, Any]:
    options = OPTIONS | options
    ours = gym.make_vec(DEFAULT_ID, autoreset_mode=mode, copy=copy, **options)
    kwargs = {"autoreset_mode": mode, "copy": copy}
    return ours, gym.make_vec(DEFAULT_ID, vectorization_mode="sync", vector_kwargs=kwargs, **options)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype == object:
        return a.shape == b.shape and b.dtype == object and same(a.tolist(), b.tolist())
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.flags.writeable == b.flags.writeable and np.array_equal(a, b)
    return bool(a == b)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_metadata(mode: AutoresetMode) -> None:
    ours, theirs = pair(mode)
    assert ours.metadata == theirs.metadata and ours.metadata["autoreset_mode"] is mode
    for name in (
        "num_envs",
        "render_mode",
        "observation_space",
        "action_space",
        "single_observation_space",
        "single_action_space",
        "closed",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.unwrapped is ours and len(ours.envs) == len(theirs.envs)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("observations", [["RGB_INTERLEAVED"], ["INSTR", "VEL.TRANS"], ["INSTR"]])
def test_play_with_masked_resets(mode: AutoresetMode, copy: bool, observations: list[str]) -> None:
    ours, theirs = pair(mode, copy, observations=observations, level="language_execute_random_task")
    masks = {4: [False, True, False], 11: [True, False, True], 12: [True, True, True]}
    seeds: dict[int, Any] = {4: [None, 5, None], 11: 3, 12: [1, None, 2]}
    assert same(ours.reset(seed=[2, 9, 1]), theirs.reset(seed=[2, 9, 1]))
    rng = np.random.default_rng(1)
    done = np.zeros(3, bool)
    for k in range(30):
        options = {"reset_mask": np.array(masks[k])} if k in masks else {}
        if mode is AutoresetMode.DISABLED and done.any():
            options = {"reset_mask": done.copy()}
        if options:
            given = dict(options)
            seed = seeds.get(k)
            assert same(ours.reset(seed=seed, options=given), theirs.reset(seed=seed, options=dict(options)))
            assert set(given) == {"reset_mask"}, "a caller's options stay as they are"
            done = done & ~options["reset_mask"]
        if mode is AutoresetMode.DISABLED and done.any():
            continue
        actions = rng.integers(15, size=3)
        result = ours.step(actions)
        assert same(result, theirs.step(actions)), k
        done = result[2] | result[3]


def test_episode_seed_for_all() -> None:
    ours, theirs = pair()
    options = {"episode_seed": 77}
    assert same(ours.reset(seed=0, options=options), theirs.reset(seed=0, options=options))
    assert same(ours.reset(), theirs.reset())
    assert ours.reset(options={"episode_seeds": [1, None, 2]})[1]["episode_seed"][[0, 2]].tolist() == [1, 2]


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return next(kind for kind in (AttributeError, ValueError, RuntimeError, Exception) if isinstance(error, kind))


@pytest.mark.parametrize(
    "call",
    [
        lambda env: env.call("render"),
        lambda env: env.render(),
        lambda env: env.get_attr("level"),
        lambda env: env.get_attr("metadata"),
        lambda env: env.get_attr("np_random_seed"),
        lambda env: env.get_attr("action_space"),
        lambda env: env.get_attr("observation_space"),
        lambda env: env.call("has_wrapper_attr", "engine"),
        lambda env: env.call("get_wrapper_attr", "frame_skip"),
        lambda env: env.np_random_seed,
        lambda env: [generator.random() for generator in env.np_random],
        lambda env: [generator.bit_generator.state["state"] for generator in env.get_attr("np_random")],
        lambda env: env.get_attr("nope"),
        lambda env: env.call("nope", 1),
        lambda env: (env.set_attr("note", [1, 2, 3]), env.get_attr("note")),
        lambda env: (env.set_attr("note", (1, 2, 3)), env.get_attr("note")),
        lambda env: (env.set_attr("note", "abc"), env.get_attr("note")),
        lambda env: env.set_attr("note", [1, 2]),
        lambda env: env.reset(seed=[1, 2]),
        lambda env: env.call("reset", seed=4),
        lambda env: env.call("reset", options={"episode_seed": 4}),
        lambda env: (env.close(), env.close(), env.closed),
    ],
)
def test_methods(call: Callable[[Any], Any]) -> None:
    ours, theirs = pair()
    ours.reset(seed=8), theirs.reset(seed=8)
    assert same(outcome(lambda: call(ours)), outcome(lambda: call(theirs)))
    if not ours.closed:
        assert same(ours.step(np.arange(3)), theirs.step(np.arange(3)))


def test_without_a_render_mode() -> None:
    ours, theirs = pair(render_mode=None)
    ours.reset(seed=0), theirs.reset(seed=0)
    assert ours.render() == theirs.render() == (None, None, None)


def test_options_of_members_cannot_be_set_and_members_cannot_step_alone() -> None:
    ours, _ = pair()
    ours.reset(seed=0)
    for name in ("level", "evaluation", "frame_skip", "action_set", "render_mode", "spec", "observation_space"):
        with pytest.raises(
            AttributeError, match=f"'{name}' cannot be set: the environments of a batch share their options"
        ):
            ours.set_attr(name, "x")
    with pytest.raises(RuntimeError, match="cannot be stepped alone"):
        ours.call("step", 0)


def test_vector_wrappers_of_gymnasium() -> None:
    """They write into infos."""
    ours, theirs = (gym.wrappers.vector.RecordEpisodeStatistics(env) for env in pair(AutoresetMode.NEXT_STEP))
    assert same(ours.reset(seed=0), theirs.reset(seed=0))
    for _ in range(20):
        result, expected = ours.step(np.zeros(3, int)), theirs.step(np.zeros(3, int))
        for infos in (result[4], expected[4]):
            infos.get("episode", {}).pop("t", None)  # seconds
        assert same(result, expected)


def test_processes_after_the_engine_was_used() -> None:
    """Workers that are forked, or started otherwise, after this process has played and has threads."""
    ours = gym.make_vec(DEFAULT_ID, threads=2, **OPTIONS)
    expected = ours.reset(seed=0)
    workers = gym.make_vec(DEFAULT_ID, vectorization_mode="async", **OPTIONS)
    try:
        assert same(workers.reset(seed=0), expected)
        assert same(workers.step(np.arange(3)), ours.step(np.arange(3)))
    finally:
        workers.close()
