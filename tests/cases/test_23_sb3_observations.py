"""Stable-Baselines3 keeps the last observation until after the step, so a batch that overwrites it is refused."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is an optional extra")

import flexlam_rl  # noqa: F401
from flexlam_rl.agents.adapters.sb3 import SB3VecEnv, make_sb3
from flexlam_rl.envs.registration import DEFAULT_ID
from flexlam_rl.envs.wrappers.instructions import VectorInstructionTokens

SAME = {"num_envs": 2, "engine": "litelab", "autoreset_mode": "SameStep"}


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_batch_that_overwrites_is_refused(wrapped: bool) -> None:
    with pytest.raises(ValueError, match="copy must be True for Stable-Baselines3"):
        make_sb3(2, engine="litelab", copy=False)
    batch: Any = gym.make_vec(DEFAULT_ID, copy=False, observations=["INSTR", "RGB_INTERLEAVED"], **SAME)
    with pytest.raises(ValueError, match="copy must be True"):
        SB3VecEnv(VectorInstructionTokens(batch) if wrapped else batch)
    sync = gym.vector.SyncVectorEnv(
        [lambda: gym.make(DEFAULT_ID, engine="litelab")], copy=False, autoreset_mode="SameStep"
    )
    with pytest.raises(ValueError, match="copy must be True"):
        SB3VecEnv(sync)


def test_what_was_given_out_stays() -> None:
    env = make_sb3(2, engine="litelab", seed=0, max_episode_steps=2)
    kept = []
    last: Any = env.reset()
    kept.append((last, last.copy()))
    for _ in range(5):
        last, rewards, dones, infos = env.step(np.array([4, 5]))
        kept.append((last, last.copy()))
        kept += [
            (info["terminal_observation"], info["terminal_observation"].copy())
            for info in infos
            if "terminal_observation" in info
        ]
        kept += [(rewards, rewards.copy()), (dones, dones.copy())]
    assert all(np.array_equal(given, before) for given, before in kept)


def test_what_a_caller_writes_into_changes_nothing() -> None:
    """Observations, infos and masks that were given out are the caller's own."""
    for mode in ("NextStep", "SameStep", "Disabled"):
        plain, scribbled = (gym.make_vec(DEFAULT_ID, **(SAME | {"autoreset_mode": mode})) for _ in range(2))
        plain.reset(seed=0)
        observation, infos = scribbled.reset(seed=0)
        mask = np.array([True, False])
        for k in range(6):
            observation[:] = 0
            for value in infos.values():
                value[:] = None if value.dtype == object else 0
            options = {"reset_mask": mask} if k == 3 else None
            if options:
                expected, expected_infos = plain.reset(options=dict(options))
                observation, infos = scribbled.reset(options=dict(options))
            else:
                expected, *rest, expected_infos = plain.step(np.array([6, 7]))
                observation, *given, infos = scribbled.step(np.array([6, 7]))
                for a, b in zip(rest, given, strict=True):
                    assert np.array_equal(a, b)
                    b[:] = 1
            assert np.array_equal(expected, observation), (mode, k)
            assert all(np.array_equal(expected_infos[key], infos[key]) for key in expected_infos), (mode, k)


def test_lists_that_were_given_stay_the_caller_s() -> None:
    levels, strings = ["rooms_watermaze", "explore_goal_locations_small"], {"episodeLengthSeconds": "1"}
    env = gym.make_vec(DEFAULT_ID, level=levels, config=strings, **SAME)
    levels[0], strings["episodeLengthSeconds"] = "nonsense", "nonsense"
    env.unwrapped.envs.clear()
    assert env.spec.kwargs["level"][0] == "rooms_watermaze"
    assert env.reset(seed=0)[1]["level"].tolist() == ["rooms_watermaze", "explore_goal_locations_small"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"autoreset_mode": "NextStep"}, "autoreset_mode must be 'SameStep' for Stable-Baselines3, got 'NextStep'"),
        ({"vectorization_mode": "sync"}, "make_sb3 takes no vectorization_mode"),
        ({"wrappers": ()}, "make_sb3 takes no wrappers"),
        ({"vector_kwargs": {}}, "make_sb3 takes no vector_kwargs"),
        ({"seed": -1}, "seed must be None or an integer of at least 0, got -1"),
        ({"seed": 1.5}, "seed must be None or an integer of at least 0, got 1.5"),
        ({"num_envs": 0}, "num_envs must be an integer of at least 1, got 0"),
    ],
)
def test_refusals_name_the_argument(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make_sb3(**{"engine": "litelab", **options})
    assert message in str(caught.value) and "\n" not in str(caught.value)
