"""Acting in latent space: the wrapper is an environment like any other, and its actions are the translator's."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import flexlam_rl  # noqa: F401
from flexlam_rl.agents.latent_space import LatentActionSpace, VectorLatentActionSpace
from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

LEVEL = "rooms_exploit_deferred_effects_train"


@pytest.fixture(scope="module", params=["slots+action", "slots+frame", "slots+action+frame"])
def policy(request, make_bundle_folder, tmp_path_factory):
    folder = make_bundle_folder(tmp_path_factory.mktemp("bundle") / "debug", conditioning=request.param)
    return LatentActionPolicy(load_bundle(folder), 3, deterministic=True)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version.*")
def test_gymnasiums_checker_accepts_it(policy):
    env = LatentActionSpace(gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL).unwrapped, policy, budget=2)
    assert env.action_space == gym.spaces.MultiDiscrete([1000, 1000])
    check_env(env, skip_render_check=True)
    env.close()


def test_the_policys_own_codes_bring_the_policys_own_actions(policy):
    env = LatentActionSpace(gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL), policy)
    observation, info = env.reset(seed=1)
    policy.reset()
    taken = []
    for _ in range(30):
        action = policy(observation, info)
        observation, _, _, _, info = env.step(policy.last.codes[0])
        assert info["action"] == action
        taken.append(int(action))
    assert len(set(taken)) > 1
    env.close()


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_batch_is_as_many_single_ones(policy, mode):
    """Over the ends of episodes, where the previous action is forgotten."""
    rng = np.random.default_rng(0)
    batch = VectorLatentActionSpace(
        gym.make_vec("FlexLAM-DMLab-v0", num_envs=3, engine="litelab", level=LEVEL, frame_skip=4, autoreset_mode=mode),
        policy,
        2,
    )
    single = LatentActionSpace(gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL), policy, 2)
    batch.reset(seed=5)
    single.reset(seed=6)  # the second environment of the batch
    ends, over = 0, False
    for step in range(950):
        codes = rng.integers(0, 1000, (3, 2))
        observations, rewards, terminated, truncated, infos = batch.step(codes)
        if over:
            observation, _ = single.reset()
            over = False
            if mode is AutoresetMode.NEXT_STEP:
                assert np.array_equal(observation, observations[1])
                continue
        observation, reward, end, cut, info = single.step(codes[1])
        assert info["action"] == infos["action"][1], step
        assert reward == rewards[1]
        over = end or cut
        ends += over
        assert over == bool(terminated[1] | truncated[1])
        if over and mode is AutoresetMode.SAME_STEP:
            observation, _ = single.reset()
            over = False
        assert np.array_equal(observation, observations[1])
    assert ends >= 1
    batch.close()
    single.close()


@pytest.mark.parametrize("budget", [0, 5, True, 1.5])
def test_impossible_budgets_are_refused(policy, budget):
    env = gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL)
    with pytest.raises(ValueError, match=r"expected 1\.\.4"):
        LatentActionSpace(env, policy, budget=budget)
    env.close()


def test_environments_and_actions_that_do_not_fit_are_refused(policy):
    with pytest.raises(ValueError, match="impala9"):
        LatentActionSpace(gym.make("FlexLAM-DMLab-v0", engine="litelab", action_set="impala9"), policy)
    env = LatentActionSpace(gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL), policy, 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(1, 3\)"):
        env.step([1, 2, 3])
    with pytest.raises(ValueError, match=r"0\.\.999"):
        env.step([0, 1000])
    env.close()
