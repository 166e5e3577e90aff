"""The native batch gives exactly what single environments with the same seeds give, in every autoreset mode."""

import os
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
from flexlam_rl.envs.errors import ClosedError, InvalidAction, ResetNeeded
from flexlam_rl.envs.litelab.pool import Pool
from flexlam_rl.envs.registration import DEFAULT_ID, level_id

LEVELS = [
    "explore_goal_locations_small",
    "lasertag_one_opponent_small",
    "psychlab_visual_search",
    "rooms_exploit_deferred_effects_train",
    "explore_object_rewards_few",
    "language_execute_random_task",
]
# episodes of 40 steps, so that a short run sees several ends
SHORT = {"episodeLengthSeconds": "2.7"}


def native(levels: list[str], mode: str | AutoresetMode, **options: Any) -> gym.vector.VectorEnv:
    return gym.make_vec(
        DEFAULT_ID, num_envs=len(levels), level=levels, engine="litelab", autoreset_mode=mode, config=SHORT, **options
    )


def singles(levels: list[str], mode: AutoresetMode, **options: Any) -> SyncVectorEnv:
    makers = [partial(gym.make, level_id(level), engine="litelab", config=SHORT, **options) for level in levels]
    return SyncVectorEnv(makers, autoreset_mode=mode)


def same(a: Any, b: Any, where: str = "") -> None:
    """Equality of nested observations and infos, with their dtypes."""
    if isinstance(a, dict):
        assert isinstance(b, dict) and set(a) == set(b), (where, set(a) ^ set(b))
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, np.ndarray) and a.dtype != object:
        assert isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape, (where, a.dtype, b.dtype)
        assert np.array_equal(a, b), where
    elif isinstance(a, np.ndarray):
        assert a.shape == b.shape and b.dtype == object, where
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{k}]")
    elif isinstance(a, tuple | list):
        assert type(a) is type(b) and len(a) == len(b), where
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{k}]")
    else:
        assert type(a) is type(b) and a == b, (where, a, b)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP], ids=str)
@pytest.mark.parametrize("seed", [7, [5, 4, 3, 2, 1, 0]], ids=["int", "list"])
def test_batch_equals_singles(mode: AutoresetMode, seed: Any) -> None:
    batch, one_by_one = native(LEVELS, mode), singles(LEVELS, mode)
    assert batch.single_observation_space == one_by_one.single_observation_space
    assert batch.observation_space == one_by_one.observation_space and batch.action_space == one_by_one.action_space
    same(batch.reset(seed=seed), one_by_one.reset(seed=seed))
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(90):
        actions = rng.integers(15, size=len(LEVELS))
        ours, theirs = batch.step(actions), one_by_one.step(actions)
        for name, a, b in zip(("obs", "reward", "terminated", "truncated", "info"), ours, theirs, strict=True):
            same(a, b, name)
        ends += int((ours[2] | ours[3]).sum())
    assert ends >= 2 * len(LEVELS)
    same(batch.reset(), one_by_one.reset())


def test_batch_of_dictionaries_equals_singles() -> None:
    options = {
        "observations": ["RGBD", "INSTR", "VEL.TRANS", "DEBUG.MAZE.LAYOUT"],
        "action_set": "native7",
        "width": 32,
        "height": 16,
    }
    levels = ["language_execute_random_task", "explore_obstructed_goals_small"]
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        batch, one_by_one = native(levels, mode, **options), singles(levels, mode, **options)
        assert batch.observation_space == one_by_one.observation_space
        same(batch.reset(seed=1), one_by_one.reset(seed=1))
        batch.action_space.seed(0)
        for _ in range(45):
            actions = batch.action_space.sample()
            same(batch.step(actions), one_by_one.step(actions))


def test_evaluation_batch_equals_singles() -> None:
    batch = native(LEVELS[:2], AutoresetMode.NEXT_STEP, evaluation=True)
    one_by_one = singles(LEVELS[:2], AutoresetMode.NEXT_STEP, evaluation=True)
    same(batch.reset(seed=3), one_by_one.reset(seed=3))


def test_number_of_threads_changes_nothing() -> None:
    runs = []
    for threads in (1, 2, 5):
        env = native(LEVELS, AutoresetMode.NEXT_STEP, threads=threads)
        env.reset(seed=3)
        runs.append([env.step(np.full(len(LEVELS), 12)) for _ in range(45)])
        env.close()
    same(runs[0], runs[1])
    same(runs[0], runs[2])


def test_masked_reset_and_disabled_mode() -> None:
    env = native(LEVELS[:3], "DISABLED")
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    env.reset(seed=0)
    while True:
        observations, _, terminated, truncated, _ = env.step(np.zeros(3, int))
        if (terminated | truncated).any():
            break
    with pytest.raises(ResetNeeded, match="reset environments"):
        env.step(np.zeros(3, int))
    mask = np.array([True, False, True])
    after, infos = env.reset(options={"reset_mask": mask})
    assert np.array_equal(after[1], observations[1])
    assert infos["_episode_seed"].tolist() == mask.tolist()
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": [True] * 3})


def test_observations_are_fresh_unless_copy_is_off() -> None:
    env = native(LEVELS[:2], "NextStep")
    first, infos = env.reset(seed=0)
    kept, seeds = first.copy(), infos["episode_seed"].copy()
    for _ in range(45):
        env.step(np.full(2, 7))
    assert np.array_equal(first, kept) and np.array_equal(infos["episode_seed"], seeds)
    shared = native(LEVELS[:2], "NextStep", copy=False)
    assert shared.reset(seed=0)[0] is shared.step(np.full(2, 7))[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs must be an integer of at least 1, got 0"),
        ({"num_envs": 3, "level": ["rooms_watermaze"]}, "level has 1 names for num_envs=3"),
        ({"num_envs": 2, "level": ["rooms_watermaze", "nope"]}, "Unknown level 'nope'"),
        ({"num_envs": 2, "autoreset_mode": "never"}, "autoreset_mode must be one of"),
        ({"num_envs": 2, "render_mode": "human"}, "render_mode"),
        ({"num_envs": 2, "level": LEVELS[:2], "observations": ["DEBUG.PLAYERS.ID"]}, "same number of players"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        gym.make_vec(DEFAULT_ID, engine="litelab", **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_bad_calls() -> None:
    env = native(LEVELS[:2], "NextStep")
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(2, int))
    with pytest.raises(ValueError, match="seed has 3 entries"):
        env.reset(seed=[1, 2, 3])
    env.reset(seed=0)
    for bad in (np.array([0, 15]), np.array([-1, 0]), np.zeros(3, int), np.zeros(2), np.zeros((2, 7), int)):
        with pytest.raises(InvalidAction):
            env.step(bad)
    env.close()
    env.close()
    with pytest.raises(ClosedError):
        env.step(np.zeros(2, int))


def test_render_and_attributes() -> None:
    env = native(LEVELS[:2], "NextStep", render_mode="rgb_array", render_size=[64, 48])
    env.reset(seed=0)
    pictures = env.render()
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 2
    assert env.get_attr("level") == tuple(LEVELS[:2])
    assert env.unwrapped.np_random_seed == (0, 1)
    with pytest.raises(AttributeError):
        env.get_attr("nope")


def test_spec_is_json() -> None:
    env = gym.make_vec(DEFAULT_ID, num_envs=3, engine="litelab", autoreset_mode="SameStep", level="rooms_watermaze")
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    again = gym.make_vec(spec)
    assert isinstance(again, DMLabVectorEnv) and again.num_envs == 3
    assert again.levels == ["rooms_watermaze"] * 3 and again.autoreset_mode is AutoresetMode.SAME_STEP


def test_pool_raises_and_goes_on() -> None:
    pool = Pool(3)
    done: list[int] = []

    def fail() -> None:
        raise KeyError("no")

    for _ in range(3):
        with pytest.raises(KeyError):
            pool.run([partial(done.append, 1), fail, partial(done.append, 2), partial(done.append, 3)])
    assert sorted(done) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    pool.close()
    pool.run([partial(done.append, 4), partial(done.append, 5)])
    assert done[-2:] in ([4, 5], [5, 4])
    pool.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_batch_survives_a_fork() -> None:
    env = native(LEVELS, "NextStep", threads=2)
    env.reset(seed=0)
    env.step(np.zeros(len(LEVELS), int))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # the threads of the parent do not exist here
        reward = env.step(np.zeros(len(LEVELS), int))[0].sum()
        os.write(writer, str(reward).encode())
        os._exit(0)
    os.close(writer)
    expected = str(env.step(np.zeros(len(LEVELS), int))[0].sum())
    with os.fdopen(reader) as pipe:
        assert pipe.read() == expected
    os.waitpid(child, 0)
