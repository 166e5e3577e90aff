"""What was validated stays validated: no array that a caller holds is one that a policy uses."""

import copy
import pickle

import numpy as np
import pytest

from flexlam_rl.agents.policy.bundle import Decoding, EnvironmentFacts, load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.flexlam.config import LAMConfig

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 2, 64, 64, 3), np.uint8)


@pytest.fixture
def policy(bundle_folder):
    return LatentActionPolicy(load_bundle(bundle_folder), [4, 4], deterministic=True)


def test_the_budget_cannot_be_changed_in_place(policy):
    with pytest.raises(ValueError, match="read-only"):
        policy.budget[1] = 0
    given = np.array([3, 4])
    policy.budget = given
    given[:] = 0
    policy.predict(FRAMES[0])
    assert policy.last.budgets.tolist() == [3, 4]


def test_what_the_last_step_tells_is_a_record(policy):
    _, state = policy.predict(FRAMES[0])
    policy.last.budgets[:] = 0
    policy.last.codes[:] = -5
    policy.predict(FRAMES[1], state)
    assert policy.last.budgets.tolist() == [4, 4]


def test_actions_may_be_changed_by_the_caller(policy, bundle_folder):
    """As wrappers do that clip or remap in place."""
    other, states = LatentActionPolicy(load_bundle(bundle_folder), 4, deterministic=True), [None, None]
    for frame in FRAMES:
        one, states[0] = policy.predict(frame, states[0])
        two, states[1] = other.predict(frame, states[1])
        assert np.array_equal(one, two)
        one[:] = 0


def test_actions_of_the_previous_action_control_may_be_changed_too():
    import gymnasium as gym

    from flexlam_rl.agents.policy.previous_action import PreviousActionPolicy

    env = gym.make_vec("FlexLAM-DMLab-v0", num_envs=2, engine="litelab")
    pairs = np.roll(np.eye(16, 15, dtype=np.int64), 1, 1) + 0  # each action leads to one other
    pairs[0, 3] = 1
    policy, state, seen = PreviousActionPolicy(pairs, env), None, []
    for _ in range(4):
        actions, state = policy.predict(None, state, deterministic=True)
        seen.append(actions.tolist())
        actions[:] = 0
    again, state = [], None
    for _ in range(4):
        actions, state = policy.predict(None, state, deterministic=True)
        again.append(actions.tolist())
    assert seen == again
    env.close()


def test_configurations_keep_no_list_of_the_caller_and_plain_numbers():
    levels = [8, 5, 5, 5]
    config = LAMConfig(slots=np.int64(4), levels=levels)
    levels[0] = 2
    assert config.levels == (8, 5, 5, 5)
    assert type(config.slots) is int
    assert type(ActionSpec(np.array([3, 4])).discrete[0]) is int
    looks = ["procedural"]
    facts = EnvironmentFacts("dreamer15", "", 4, 64, 64, "litelab", looks, "full")
    looks.append("labmaze")
    assert facts.textures == ("procedural",)
    assert type(Decoding(np.float32(0.5)).temperature) is float


@pytest.mark.parametrize("how", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_goes_on_equally_and_apart(bundle_folder, how):
    policy = LatentActionPolicy(load_bundle(bundle_folder), 3, deterministic=False, chunk=1)
    policy.begin_episodes([0, 1], [5, 6])
    policy(FRAMES[0])
    policy(FRAMES[1])
    other = how(policy)
    expected = [(policy(frame).tolist(), policy.last.codes.tolist()) for frame in FRAMES[2:]]
    assert [(other(frame).tolist(), other.last.codes.tolist()) for frame in FRAMES[2:]] == expected


def test_a_deep_copy_shares_the_weights(bundle_folder):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as executor:
        policy = LatentActionPolicy(load_bundle(bundle_folder), 3, chunk=1, executor=executor)
        policy(FRAMES[0])
        other = copy.deepcopy(policy)
        assert other.lam is policy.lam
        assert other.executor is executor
        assert pickle.loads(pickle.dumps(policy)).executor is None
        assert other(FRAMES[1]).shape == (2,)
