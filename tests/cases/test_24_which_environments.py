"""Environments are named by a bool mask or by indices, to every policy; what is neither is refused and changes
nothing.
"""

import gymnasium as gym
import numpy as np
import pytest

import flexlam_rl  # noqa: F401
from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.previous_action import PreviousActionPolicy
from flexlam_rl.agents.policy.random import RandomPolicy

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 3, 64, 64, 3), np.uint8)
FORMS = [
    (np.array([False, True, False]), [8, 9, 10]),
    ([False, True, False], np.array([8, 9, 10], np.uint64)),
    (np.array([1]), [9]),
    ([np.int64(1)], [np.uint8(9)]),
    (1, 9),
    (np.int32(1), np.int64(9)),
]
WRONG = [
    ([True, False], [1, 2]),
    ([True, False, True, False], [1, 2, 3, 4]),
    ([1, 1], [5, 6]),
    ([-1], [5]),
    ([3], [5]),
    ([0.5], [5]),
    ([[0]], [5]),
    (["a"], [5]),
    ([0, 1], [5]),
    ([True, False, True], [5, 6]),
    ([0], [-5]),
    ([0], [1.5]),
    ([0], [True]),
    ([0], [float("nan")]),
    ([0], ["5"]),
    ([0], None),
    (None, [5]),
]


def test_a_mask_starts_only_the_streams_that_it_names():
    for which, seeds in FORMS[:2]:
        a, b = Draws(0, 2), Draws(0, 2)
        a.next(3)
        b.next(3)
        a.begin(np.array([1]), np.array([9]))
        b.begin(which, seeds)
        assert np.array_equal(a.next(3), b.next(3))


def makers(bundle_folder):
    env = gym.make_vec("FlexLAM-DMLab-v0", num_envs=3, engine="litelab")
    bundle = load_bundle(bundle_folder)
    return {
        "flexlam": lambda: LatentActionPolicy(bundle, 3, deterministic=False),
        "random": lambda: RandomPolicy(env),
        "previous-action": lambda: PreviousActionPolicy(np.ones((16, 15), np.int64), env),
    }


def actions(policy, state, frames):
    told = []
    for frame in frames:
        action, state = policy.predict(frame, state)
        told.append(action.tolist() + (policy.last.codes.tolist() if hasattr(policy, "last") else []))
    return told


@pytest.mark.parametrize("name", ["flexlam", "random", "previous-action"])
def test_every_policy_takes_every_form(bundle_folder, name):
    make, told = makers(bundle_folder)[name], []
    for which, seeds in FORMS:
        policy = make()
        _, state = policy.predict(FRAMES[0])
        policy.begin_episodes(which, seeds)
        told.append(actions(policy, state, FRAMES[1:]))
    assert all(one == told[0] for one in told)


@pytest.mark.parametrize("name", ["flexlam", "random", "previous-action"])
def test_every_policy_refuses_the_rest_and_goes_on(bundle_folder, name):
    make = makers(bundle_folder)[name]
    policy, untouched = make(), make()
    _, state = policy.predict(FRAMES[0])
    _, other = untouched.predict(FRAMES[0])
    for which, seeds in WRONG:
        with pytest.raises(ValueError) as error:
            policy.begin_episodes(which, seeds)
        assert len(str(error.value).splitlines()) == 1
    assert actions(policy, state, FRAMES[1:]) == actions(untouched, other, FRAMES[1:])


@pytest.mark.parametrize("method", ["reset", "end_episodes", "map_restarted"])
def test_the_other_methods_take_the_same(bundle_folder, method):
    bundle, told = load_bundle(bundle_folder), []
    for which in ([False, True, False], [1], np.int64(1), np.array([1], np.uint8)):
        policy = LatentActionPolicy(bundle, 3, deterministic=True, chunk=1)
        for t, frame in enumerate(FRAMES):
            if t == 3:
                getattr(policy, method)(which)
                for wrong in ([True], [1, 1], [-1], [3], [0.5], "x", [[1]]):
                    with pytest.raises(ValueError):
                        getattr(policy, method)(wrong)
            policy(frame)
        told.append(policy.last.codes.tolist())
    untouched = LatentActionPolicy(bundle, 3, deterministic=True, chunk=1)
    for frame in FRAMES:
        untouched(frame)
    assert all(one == told[0] for one in told)
    assert [row == other for row, other in zip(told[0], untouched.last.codes.tolist(), strict=True)] == [
        True,
        False,
        True,
    ]


def test_another_batch_may_begin_after_a_smaller_one(bundle_folder):
    policy = LatentActionPolicy(load_bundle(bundle_folder), 3)
    policy.predict(FRAMES[0, :2])
    policy.begin_episodes(np.arange(3), [1, 2, 3])
    assert policy.predict(FRAMES[0])[0].shape == (3,)


@pytest.mark.parametrize("start", [[True, False], [0, 2, 0], [0.5, 0, 0], [[True] * 3], ["a"] * 3])
def test_episode_starts_are_a_mask(bundle_folder, start):
    policy = LatentActionPolicy(load_bundle(bundle_folder), 3)
    _, state = policy.predict(FRAMES[0])
    with pytest.raises(ValueError, match="episode_start"):
        policy.predict(FRAMES[1], state, start)
