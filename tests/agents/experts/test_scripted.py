"""The scripted experts: one protocol everywhere, repeatable, honest about what they have seen, and good."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import flexlam_rl  # noqa: F401 - registers the environments
from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.experts.scores import measure
from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
from flexlam_rl.envs.litelab import state as s

BLIND = {"engine": "litelab", "observations": ("DEBUG.POS.TRANS",)}
SMALL_LOOKS = (mem.LEFT, mem.RIGHT, mem.FORWARD_LEFT, mem.FORWARD_RIGHT)
BIG_LOOKS = (mem.LEFT_FAST, mem.RIGHT_FAST, mem.FORWARD_LEFT_FAST, mem.FORWARD_RIGHT_FAST)


def batch(levels: list[str], **options: Any) -> DMLabVectorEnv:
    return DMLabVectorEnv(levels, observations=("DEBUG.POS.TRANS",), **options)


def actions_of(env: DMLabVectorEnv, expert: ScriptedExpert, steps: int, seed: Any) -> np.ndarray:
    """(steps, N) actions of one episode."""
    observation, _ = env.reset(seed=seed)
    taken = []
    for _ in range(steps):
        actions, _ = expert.predict(observation)
        taken.append(actions)
        observation, *_ = env.step(actions)
    return np.array(taken)


def test_one_protocol_for_one_environment_and_for_many() -> None:
    env = gym.make("FlexLAM-DMLab/rooms_watermaze-v0", engine="litelab")
    observation, _ = env.reset(seed=3)
    expert = ScriptedExpert(env)
    action, state = expert.predict(observation, None, np.ones(1, bool), True)
    assert env.action_space.contains(action)
    assert state is None
    assert env.action_space.contains(expert(observation))
    many = batch(["rooms_watermaze"] * 3)
    seen, _ = many.reset(seed=3)
    actions, state = ScriptedExpert(many).predict(seen, "kept")
    assert many.action_space.contains(actions)
    assert state == "kept"
    assert actions[0] == action  # the same seed, the same episode, the same action


def test_native_actions_are_those_of_the_table() -> None:
    native, numbered = batch(["rooms_watermaze"] * 2, action_set="native7"), batch(["rooms_watermaze"] * 2)
    rows = actions_of(native, ScriptedExpert(native), 50, 0)
    numbers = actions_of(numbered, ScriptedExpert(numbered), 50, 0)
    assert (rows == numbered.action_set.table[numbers]).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gym.make("CartPole-v1"), "CartPoleEnv does not have"),
        (lambda: batch(["rooms_watermaze"], action_set="impala9"), "'impala9'"),
    ],
)
def test_environments_it_cannot_play_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ScriptedExpert(make())


def test_evaluate_policy_of_stable_baselines() -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecMonitor

    from flexlam_rl.agents.adapters.sb3 import make_sb3

    env = VecMonitor(
        make_sb3(2, level="rooms_exploit_deferred_effects_train", engine="litelab", width=8, height=8, seed=0)
    )
    returns, lengths = evaluate_policy(ScriptedExpert(env), env, 4, return_episode_rewards=True)
    assert len(returns) == 4
    assert max(lengths) <= 900
    assert np.mean(returns) > 5
    env.close()


def test_the_same_seeds_give_the_same_actions_wherever_an_episode_is_played() -> None:
    levels = list(LEVELS)
    env = batch(levels)
    seeds = list(range(len(levels)))
    first = actions_of(env, ScriptedExpert(env, seed=1), 120, seeds)
    expert = ScriptedExpert(env, seed=1)
    actions_of(env, expert, 30, [seed + 100 for seed in seeds])  # an earlier episode leaves no trace
    assert (actions_of(env, expert, 120, seeds) == first).all()
    assert (actions_of(env, ScriptedExpert(env, seed=2), 120, seeds) != first).any(axis=0).sum() >= len(levels) // 2
    alone = batch(["lasertag_one_opponent_small"])
    i = levels.index("lasertag_one_opponent_small")
    assert (actions_of(alone, ScriptedExpert(alone, seed=1), 120, seeds[i])[:, 0] == first[:, i]).all()


@pytest.mark.parametrize(
    "level", ["explore_goal_locations_small", "explore_goal_locations_large", "explore_obstructed_goals_large"]
)
@pytest.mark.parametrize("seed", [1, 2, 4])
def test_a_goal_never_seen_changes_no_action(level: str, seed: int) -> None:
    """Two worlds differ only in the place of the goal: the experts do the same until one of them sees it."""
    env = batch([level] * 2)
    env.reset(seed=[seed, seed])
    worlds = env.worlds
    goal = next(k for k in range(worlds[0]["item_count"]) if worlds[0]["items"][k]["kind"] == s.GOAL)
    item = worlds[1]["items"][goal]
    row, col = (int(v) for v in item["cell"])
    cells = np.argwhere(worlds[1]["cell"][: worlds[1]["rows"], : worlds[1]["cols"]] == s.OPEN)
    player = worlds[1]["players"][0]["pos"]
    rows = int(worlds[1]["rows"])
    # the open cell farthest from where the goal was and from the player
    far = max(
        cells.tolist(),
        key=lambda c: min(
            np.hypot(c[0] - row, c[1] - col),
            np.hypot(c[1] + 0.5 - player[0] / 100, rows - c[0] - 0.5 - player[1] / 100),
        ),
    )
    item["pos"][0], item["pos"][1] = 100.0 * far[1] + 50.0, 100.0 * (rows - far[0]) - 50.0
    item["cell"][:] = far
    expert = ScriptedExpert(env, temperature=0.0)
    seen = False
    for step in range(1300):
        actions, _ = expert.predict(np.zeros((2, 3)))
        seen = bool(expert.memories["known"][:, goal].any())
        if seen:
            break
        assert actions[0] == actions[1], step
        env.step(actions)
    assert seen, "neither goal came into view"


def test_nothing_behind_a_wall_is_known() -> None:
    """What the memory holds of cells is what rays from the eye can reach: at the start far from the whole maze."""
    env = batch(["explore_goal_locations_large"] * 8)
    env.reset(seed=0)
    expert = ScriptedExpert(env)
    expert.predict(np.zeros((8, 3)))
    known = (expert.memories["seen"] == mem.FREE).sum(axis=(1, 2))
    free = np.array([(w["cell"][: w["rows"], : w["cols"]] != s.WALL).sum() for w in env.worlds])
    assert (known >= 1).all()
    assert (known < 0.5 * free).all()


# Floors well below what `flexlam expert score` measures and well above the random policy.
FLOORS = {
    "explore_goal_locations_large": 40.0,
    "explore_goal_locations_small": 120.0,
    "explore_object_locations_large": 20.0,
    "explore_object_locations_small": 35.0,
    "explore_object_rewards_few": 15.0,
    "explore_object_rewards_many": 20.0,
    "explore_obstructed_goals_large": 20.0,
    "explore_obstructed_goals_small": 60.0,
    "language_execute_random_task": 30.0,
    "lasertag_one_opponent_large": 1.0,
    "lasertag_one_opponent_small": 1.0,
    "lasertag_three_opponents_large": 2.0,
    "lasertag_three_opponents_small": 2.0,
    "natlab_varying_map_regrowth": 4.0,
    "psychlab_visual_search": 16.0,
    "rooms_exploit_deferred_effects_train": 16.0,
    "rooms_watermaze": 11.0,
}


@pytest.mark.parametrize("level", LEVELS)
def test_it_plays_well(level: str) -> None:
    score = measure(level, Settings(), 6, first=500)
    assert score.mean > FLOORS[level], score.returns


def test_small_looks_dominate_turning() -> None:
    env = batch(list(LEVELS) * 2)
    taken = actions_of(env, ScriptedExpert(env), 700, 0)
    for i, level in enumerate(LEVELS):
        mine = taken[:, i :: len(LEVELS)]
        small, big = np.isin(mine, SMALL_LOOKS).sum(), np.isin(mine, BIG_LOOKS).sum()
        assert small > big, (level, small, big)
