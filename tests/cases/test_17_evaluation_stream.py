"""An evaluation environment plays the evaluation stream whoever looks at its generator first."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab.env import SEED_LIMIT, episode_stream
from flexlam_rl.envs.registration import DEFAULT_ID


def make(**options: Any) -> Any:
    return gym.make(DEFAULT_ID, engine="litelab", width=8, height=8, **options).unwrapped


def make_batch(**options: Any) -> Any:
    return gym.make_vec(DEFAULT_ID, num_envs=2, engine="litelab", width=8, height=8, **options)


def first(seed: int, evaluation: bool) -> int:
    return int(episode_stream(seed, evaluation).integers(SEED_LIMIT))


@pytest.mark.parametrize("evaluation", [False, True])
@pytest.mark.parametrize("look", ["np_random", "np_random_seed", "neither"])
def test_a_look_before_the_first_reset(evaluation: bool, look: str) -> None:
    env = make(evaluation=evaluation)
    getattr(env, look, None)
    _, info = env.reset()
    assert info["episode_seed"] == first(env.np_random_seed, evaluation)

    batch = make_batch(evaluation=evaluation)
    getattr(batch, look, None)
    _, infos = batch.reset()
    assert infos["episode_seed"].tolist() == [first(seed, evaluation) for seed in batch.np_random_seed]
    assert len(set(batch.np_random_seed)) == 2


def test_a_generator_that_was_set_is_used() -> None:
    env = make(evaluation=True)
    env.np_random = np.random.default_rng(5)
    assert env.np_random_seed == -1
    expected = np.random.default_rng(5).integers(SEED_LIMIT, size=2).tolist()
    assert [env.reset()[1]["episode_seed"] for _ in range(2)] == expected
    assert env.reset(seed=0)[1]["episode_seed"] == first(0, True), "a seed begins the evaluation stream again"
    with pytest.raises(ValueError, match="np_random must be"):
        env.np_random = np.random

    batch = make_batch()
    batch.set_attr("np_random", [np.random.default_rng(5), np.random.default_rng(6)])
    assert batch.np_random_seed == (-1, -1)
    assert batch.reset()[1]["episode_seed"].tolist() == [
        int(np.random.default_rng(k).integers(SEED_LIMIT)) for k in (5, 6)
    ]


def test_the_streams_are_gymnasium_s_in_training() -> None:
    env = make()
    env.reset(seed=3)
    expected, _ = gym.utils.seeding.np_random(3)
    expected.integers(SEED_LIMIT)
    assert env.np_random.bit_generator.state == expected.bit_generator.state


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_numpy_s_integers_are_seeds(kind: Any) -> None:
    assert make().reset(seed=kind(7))[1]["episode_seed"] == make().reset(seed=7)[1]["episode_seed"]
    assert make().reset(options={"episode_seed": kind(7)})[1]["episode_seed"] == 7
    seeds = [
        make_batch().reset(seed=seed)[1]["episode_seed"].tolist()
        for seed in (7, kind(7), [7, kind(8)], np.array([7, 8], kind))
    ]
    assert seeds[0] == seeds[1] == seeds[2] == seeds[3]
    assert make_batch().reset(seed=[kind(7), None])[1]["episode_seed"][0] == seeds[0][0]


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", float("nan")])
def test_other_seeds_are_refused_and_change_nothing(seed: Any) -> None:
    for env, seeds in ((make(), seed), (make_batch(), seed), (make_batch(), [0, seed])):
        env.reset(seed=0)
        expected = make().reset(seed=0)[1]["episode_seed"]
        with pytest.raises(ValueError, match="seed must be None or an integer of at least 0"):
            env.reset(seed=seeds)
        again = env.unwrapped.np_random_seed
        assert again in (0, (0, 1)) and expected == first(0, False)


@pytest.mark.parametrize(
    "options",
    [
        {"episode_seed": -1},
        {"episode_seed": 2**31},
        {"episode_seed": 1.0},
        {"episode_sed": 1},
        "episode_seed",
        {"episode_seed": True},
    ],
)
def test_reset_options_are_checked_before_anything_happens(options: Any) -> None:
    env = make()
    env.reset(seed=0)
    state = env.np_random.bit_generator.state
    with pytest.raises(ValueError, match="options"):
        env.reset(seed=1, options=options)
    assert env.np_random.bit_generator.state == state
    with pytest.raises(ValueError, match="options"):
        make_batch().reset(options=options)
