"""Environments, single and batched, copy and pickle: a copy goes on as the original does, and neither touches the
other.
"""

import copy
import gc
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.envs.litelab.lab import Lab
from flexlam_rl.envs.registration import DEFAULT_ID, level_id
from flexlam_rl.envs.wrappers.instructions import InstructionTokens, VectorInstructionTokens

SHORT = {"episodeLengthSeconds": "1"}  # 15 steps
EVERYTHING = [
    "RGBD_INTERLEAVED",
    "INSTR",
    "VEL.TRANS",
    "DEBUG.POS.TRANS",
    "DEBUG.MAZE.LAYOUT",
    "FRAMES_REMAINING_AT_60",
]
MAZE = "*****\n*P G*\n*****\n"  # the goal is reached within a few steps, again and again


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def pickled_read_only(thing: Any) -> Any:
    """As Ray and shared memory do: the arrays of the copy lie in memory that cannot be written to."""
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(stream, buffers=[bytes(buffer.raw()) for buffer in buffers])


WAYS = pytest.mark.parametrize("how", [copy.deepcopy, pickled, pickled_read_only])
WAYS_OF_OTHERS = pytest.mark.parametrize(
    "how", [copy.deepcopy, pickled]
)  # other packages' wrappers write into their arrays


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype == object:
        return same(a.tolist(), b.tolist())
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b)


def play(env: Any, actions: list[Any]) -> list[Any]:
    """Everything that steps and the resets between them give."""
    trace: list[Any] = []
    for action in actions:
        result = env.step(action)
        trace.append(copy.deepcopy(result))
        if env.unwrapped.render_mode is not None:
            trace.append(env.render())
        if not isinstance(env, gym.vector.VectorEnv) and (result[2] or result[3]):
            trace.append(copy.deepcopy(env.reset()))
    return trace


def check(env: Any, actions: list[Any], how: Callable[[Any], Any]) -> list[Any]:
    """The copies, of which one plays before the original and one after it, and the original give the same."""
    first, second = how(env), how(env)
    ahead = play(first, actions)
    trace = play(env, actions)
    assert same(trace, ahead) and same(trace, play(second, actions))
    return trace


def numbers(count: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(15, size=count).tolist()


@WAYS
@pytest.mark.parametrize("level", LEVELS)
def test_every_level(level: str, how: Callable[[Any], Any]) -> None:
    env = gym.make(level_id(level), engine="litelab", config=SHORT, observations=EVERYTHING, width=16, height=16)
    env.reset(seed=3)
    play(env, numbers(6))
    check(env, numbers(25, 1), how)


@WAYS
def test_map_restarts(how: Callable[[Any], Any]) -> None:
    env = gym.make(DEFAULT_ID, engine="litelab", config={"overrideEntityLayer": MAZE, "startAngles": "0 0"})
    env.reset(seed=0)
    play(env, [0] * 3)
    trace = check(env, [0] * 40, how)
    assert any(step[4]["map_reset"] for step in trace), "no map restarted, so nothing was tested"


@WAYS_OF_OTHERS
@pytest.mark.parametrize("evaluation", [False, True])
def test_rendering_and_evaluation_under_wrappers(evaluation: bool, how: Callable[[Any], Any]) -> None:
    level = level_id("language_execute_random_task")
    env: Any = gym.make(
        level,
        engine="litelab",
        evaluation=evaluation,
        max_episode_steps=4,
        render_mode="rgb_array",
        render_size=(16, 16),
        observations=["INSTR"],
    )
    env = gym.wrappers.FrameStackObservation(InstructionTokens(env), 3)
    env.reset(seed=1)
    play(env, numbers(2))
    check(env, numbers(10), how)


def test_before_the_first_reset_and_after_closing() -> None:
    env = gym.make(DEFAULT_ID, engine="litelab").unwrapped
    seed = env.np_random_seed
    assert copy.deepcopy(env).np_random_seed == seed
    assert same(copy.deepcopy(env).reset(), env.reset())
    env.close()
    with pytest.raises(RuntimeError, match="closed"):
        pickled(env).reset()


@WAYS
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("fresh", [True, False])
def test_batches(mode: AutoresetMode, fresh: bool, how: Callable[[Any], Any]) -> None:
    levels = ["explore_goal_locations_small", "psychlab_visual_search", "lasertag_one_opponent_small"]
    env = gym.make_vec(
        DEFAULT_ID,
        num_envs=3,
        level=levels,
        engine="litelab",
        config=SHORT,
        autoreset_mode=mode,
        copy=fresh,
        threads=2,
        width=16,
        height=16,
    )
    env.reset(seed=4)
    rng = np.random.default_rng(0)
    play(env, list(rng.integers(15, size=(6, 3))))
    steps = 8 if mode is AutoresetMode.DISABLED else 30
    check(env, list(rng.integers(15, size=(steps, 3))), how)
    assert same(how(env).reset(), env.reset())


@WAYS
def test_batches_under_wrappers(how: Callable[[Any], Any]) -> None:
    env: Any = gym.make_vec(
        DEFAULT_ID,
        num_envs=2,
        level="language_execute_random_task",
        engine="litelab",
        observations=["INSTR", "VEL.TRANS"],
        max_episode_steps=3,
        autoreset_mode="SameStep",
        render_mode="rgb_array",
        render_size=(16, 16),
    )
    env = VectorInstructionTokens(env)
    env.reset(seed=0)
    check(env, [np.array([0, 5])] * 8, how)


@WAYS
def test_stable_baselines(how: Callable[[Any], Any]) -> None:
    pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is an optional extra")
    from flexlam_rl.agents.adapters.sb3 import make_sb3

    env = make_sb3(2, engine="litelab", seed=0, config=SHORT)
    env.reset()
    env.step(np.array([0, 1]))
    copied = how(env)
    for k in range(20):
        actions = np.array([k % 15, 12])
        ahead = copied.step(actions)
        assert same(ahead, env.step(actions)) and same(copied.reset_infos, env.reset_infos)


@WAYS
def test_the_other_faces(how: Callable[[Any], Any]) -> None:
    dm_env = pytest.importorskip("dm_env", reason="dm_env is an optional extra")
    from flexlam_rl.envs.domains.dmlab.dm_view import dm_env_view

    view = dm_env_view(gym.make(DEFAULT_ID, engine="litelab", config=SHORT), seed=0)
    view.reset()
    view.step(4)
    copied = how(view)
    ahead: list[dm_env.TimeStep] = [copied.step(5) for _ in range(20)]
    assert same([tuple(step) for step in ahead], [tuple(view.step(5)) for _ in range(20)])

    lab = Lab(
        "contributed/dmlab30/explore_goal_locations_small",
        ["RGB_INTERLEAVED", "DEBUG.MAZE.LAYOUT"],
        {"width": "16", "height": "16"},
    )
    lab.reset()
    copied = how(lab)
    copied.write_property("params.episodeLengthSeconds", "3")
    for one in (copied, lab):
        one.step(np.array([0, 0, 0, 1, 0, 0, 0], np.intc), 4)
    assert same(copied.observations(), lab.observations())
    assert copied.reset() == lab.reset()
    layout = "DEBUG.MAZE.LAYOUT"
    assert copied.observations()[layout] == lab.observations()[layout], "the copy draws its seeds from another stream"
    assert (
        copied.read_property("params.episodeLengthSeconds") == "3" != lab.read_property("params.episodeLengthSeconds")
    )


def test_a_level_cache_is_shared_whatever_it_holds() -> None:
    class Cache:
        def __init__(self) -> None:
            self.lock = threading.Lock()  # can be neither copied nor pickled
            self.keys: list[str] = []

        def fetch(self, key: str, path: str) -> bool:
            self.keys.append(key)
            return False

        def write(self, key: str, path: str) -> None: ...

    cache = Cache()
    lab = Lab("contributed/dmlab30/explore_goal_locations_small", ["VEL.TRANS"], level_cache=cache)
    lab.reset(seed=1)
    copy.deepcopy(lab).reset(seed=1)
    assert len(cache.keys) == 2


def test_threads_of_copies_end_with_them() -> None:
    env = gym.make_vec(DEFAULT_ID, num_envs=4, engine="litelab", threads=3, width=8, height=8)
    env.reset(seed=0)
    before = threading.active_count()
    for _ in range(5):
        copy.deepcopy(env).step(np.zeros(4, int))
    gc.collect()
    for _ in range(200):
        if threading.active_count() <= before:
            break
        time.sleep(0.01)
    assert threading.active_count() <= before
    env.step(np.zeros(4, int))


def test_heavy_arguments_of_wrappers_are_not_copied(bundle_folder: Path) -> None:
    pytest.importorskip("torch")
    from flexlam_rl.agents.latent_space import LatentActionSpace, VectorLatentActionSpace
    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

    policy = LatentActionPolicy.from_pretrained(bundle_folder, budget=2)

    class Guard:
        """Breaks whatever copies it."""

        def __deepcopy__(self, memo: Any) -> Any:
            raise AssertionError("the policy was copied")

    policy.guard = Guard()  # type: ignore[attr-defined]
    env: Any = gym.wrappers.TimeLimit(LatentActionSpace(gym.make(DEFAULT_ID, engine="litelab"), policy), 3)
    spec = env.spec
    assert spec is not None and gym.make(spec).action_space == env.action_space
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(5)]
    play(env, actions[:1])
    check(env, actions, copy.deepcopy)

    batch = VectorLatentActionSpace(gym.make_vec(DEFAULT_ID, num_envs=2, engine="litelab"), policy)
    batch.reset(seed=0)
    check(batch, [np.stack(actions[:2]), np.stack(actions[2:4])], copy.deepcopy)


def test_members_do_not_share_what_a_copy_sets() -> None:
    env = gym.make_vec(DEFAULT_ID, num_envs=2, engine="litelab")
    env.set_attr("note", ["a", "b"])
    copied = copy.deepcopy(env)
    copied.set_attr("note", "c")
    assert env.get_attr("note") == ("a", "b") and copied.get_attr("note") == ("c", "c")
