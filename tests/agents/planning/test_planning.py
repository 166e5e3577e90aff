"""Planning: the best sequence is found, rounds of CEM find better ones, and a planner plays the one loop."""

import json
from itertools import product

import numpy as np
import pytest
import torch

from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.imagined.controls import ActionControls, LatentControls
from flexlam_rl.agents.imagined.memory import Memory
from flexlam_rl.agents.imagined.rewards import FrameRewards
from flexlam_rl.agents.imagined.vector import ImaginedVectorEnv
from flexlam_rl.agents.planning.config import PlannerConfig, planner_record, read_planner
from flexlam_rl.agents.planning.policy import PlanningPolicy
from flexlam_rl.agents.planning.shooting import Search, imagine, search
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.agents.rollout import Start, Tally, in_order, play_episodes
from flexlam_rl.envs.domains.dmlab.vector import make_vector
from flexlam_rl.models.videogpt.config import VIPER_PRESETS
from flexlam_rl.models.videogpt.maskgit import MaskGIT, MaskGITConfig
from flexlam_rl.nn.places import CheckpointError
from tests.agents.toy_world import AtFive, Bright, Column, Native


def begun(model, controls, seeds):
    """Memory of rows that begin as the toy's starts do, and their video."""
    frames = torch.from_numpy(np.stack([Bright().draw(seed).frames for seed in seeds])).movedim(-1, 2)
    memory = Memory(model, len(seeds), 16)
    like = controls.told(np.zeros((len(seeds), *(controls.space.shape or ())), np.int64))[:, None]
    memory.begin(np.arange(len(seeds)), frames, None, like)
    return memory, frames


def rng(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def test_shooting_finds_the_best_sequence_there_is():
    model, rewards = Column(), FrameRewards(AtFive())
    controls = LatentControls(model.conditions, None, 1)
    memory, video = begun(model, controls, [2, 3, 7])
    plan = search(memory, video, controls, rewards, Search(horizon=3, candidates=512), rng(0, 1, 2))
    for column, actions, value in zip((2, 3, 7), plan.actions, plan.values, strict=True):
        best = {}
        for sequence in product(range(4), repeat=3):
            at, before, total = column, 0, 0.0
            for step, action in enumerate(sequence):
                at, before = (at + action + before) % 8, action
                total += 0.99**step * (at == 5)
            best[sequence] = total
        assert best[tuple(actions[:, 0].tolist())] == pytest.approx(value) == pytest.approx(max(best.values()))
    assert plan.actions.shape == (3, 3, 1) and plan.values[0] > 1.9


def test_a_rows_plan_depends_on_no_other_row_and_rounds_find_better_ones():
    model, rewards = Native(), FrameRewards(AtFive())
    controls = ActionControls(4)
    memory, video = begun(model, controls, list(range(8)))
    few = {"horizon": 6, "candidates": 16, "elites": 4}
    once = search(memory, video, controls, rewards, Search(**few), rng(*range(8)))
    more = search(memory, video, controls, rewards, Search(**few, rounds=4), rng(*range(8)))
    assert (more.values >= once.values).all() and more.values.mean() > once.values.mean() + 0.3
    alone_memory, alone_video = begun(model, controls, [4])
    alone = search(alone_memory, alone_video, controls, rewards, Search(**few, rounds=4), rng(4))
    assert np.array_equal(alone.actions[0], more.actions[4]) and alone.actions.shape == (1, 6)
    # as many numbers drawn as 4 rounds of 16 from the start would not do as well
    wide = search(memory, video, controls, rewards, Search(**{**few, "candidates": 64}), rng(*range(8)))
    assert more.values.mean() > wide.values.mean()


def test_sequences_of_a_row_are_compared_under_the_same_chance():
    class Light:
        """Rewards a frame's brightness, which is chance."""

        frames = 2

        def reward(self, frames):
            return frames.flatten(2).amax(2).float()

    memory, video = begun(Native(), ActionControls(4), [2, 3])
    same = np.zeros((2 * 4, 3), np.int64)
    values = imagine(memory, video, ActionControls(4), FrameRewards(Light()), same, [1, 2], 1.0).reshape(2, 4)
    assert np.ptp(values, axis=1).tolist() == [0.0, 0.0] and values[0, 0] != values[1, 0]


def returns(policy_of, episodes=6):
    env = ImaginedVectorEnv(3, Native(), Bright(), reward=AtFive(), horizon=12, autoreset_mode="Disabled")
    starts = [Start(i, 50 + i) for i in range(episodes)]
    found = dict(play_episodes(env, policy_of(env), in_order(starts), Tally))
    return [found[i].total for i in range(episodes)]


def test_a_planner_plays_the_one_loop_and_earns_more_than_chance():
    def planner(env, seed=0):
        return PlanningPolicy(
            env, Native(), ActionControls(4), FrameRewards(AtFive()), Search(horizon=4, candidates=64), seed=seed
        )

    first = returns(planner)
    assert first == returns(planner)
    assert np.mean(first) > 8 > 4 > np.mean(returns(lambda env: make_expert("random", env)))


def test_a_file_makes_a_planner_of_a_real_environment(bundle_folder, tmp_path):
    vqvae = VIPER_PRESETS["debug"].vqvae
    torch.manual_seed(0)
    MaskGIT(MaskGITConfig(vqvae, width=16, depth=1, heads=2, hidden=32, passes=1)).save_pretrained(tmp_path / "judge")
    config = PlannerConfig("judge", bundle=str(bundle_folder), decode_steps=1, search=Search(2, 16, elites=2))
    path = tmp_path / "planner.json"
    path.write_text(json.dumps(planner_record(config)))
    assert read_planner(path).search == config.search
    env = make_vector(2, "explore_goal_locations_small", engine="litelab", autoreset_mode="Disabled")
    actions = []
    for _ in range(2):
        policy = Player("planner", path).make(env)
        observation, _ = env.reset(options={"episode_seeds": [3, 4]})
        policy.begin_episodes(np.arange(2), np.array([3, 4]))
        first, _ = policy.predict(observation, None, np.ones(2, bool))
        observation, *_ = env.step(first)
        actions.append([first, policy.predict(observation, None, np.zeros(2, bool))[0]])
    assert np.array_equal(actions[0], actions[1]) and np.shape(actions[0]) == (2, 2)
    assert np.min(actions) >= 0 and np.max(actions) < 15


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "needs a JSON file"),
        ("{", "no readable JSON"),
        ('{"model": "x"}', "no field 'reward'"),
        ('{"reward": "x", "horizon": 3}', "planner has no field 'horizon'"),
        ('{"reward": "x", "search": {"width": 3}}', "search has no field 'width'"),
        ('{"reward": "x", "search": {"elites": 100}}', "elites"),
        ('{"reward": 3}', "reward is 3; expected a folder"),
    ],
)
def test_a_file_that_is_no_planner_is_refused_in_a_sentence(tmp_path, content, said):
    path = tmp_path / "planner.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError, match=said):
        read_planner(path)


def test_what_a_planner_needs_is_asked_for(toy):
    env = ImaginedVectorEnv(2, **toy)
    with pytest.raises(ValueError, match="a planner needs a reward model"):
        PlanningPolicy(env, Native(), ActionControls(4), FrameRewards(None))
    with pytest.raises(ValueError, match="need the translator of a bundle"):
        PlanningPolicy(env, Column(), LatentControls(Column.conditions, None, 1), FrameRewards(AtFive()))
    policy = PlanningPolicy(env, Native(), ActionControls(4), FrameRewards(AtFive()))
    with pytest.raises(ValueError, match="There are 1 observations; the policy was made for 2"):
        policy.predict(np.zeros((1, 8, 8, 3), np.uint8))
