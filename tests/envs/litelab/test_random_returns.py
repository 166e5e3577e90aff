"""Returns of the random policy in the explore and language levels, beside those recorded from the real DMLab."""

import numpy as np
import pytest

from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.litelab import engine
from tests.envs.litelab.worlds import make_world

# Mean return of 10 episodes of the uniform policy over 9 actions at frame skip 4; standard deviations were as large as
# the means.
RECORDED = {
    "explore_goal_locations_large": 2.0,
    "explore_goal_locations_small": 6.0,
    "explore_object_locations_large": 4.8,
    "explore_object_locations_small": 3.0,
    "explore_object_rewards_few": 0.9,
    "explore_object_rewards_many": 1.4,
    "explore_obstructed_goals_large": 3.0,
    "explore_obstructed_goals_small": 9.0,
    "language_execute_random_task": -14.4,
}
RECORDED_EPISODES = 10
EPISODES = 30


@pytest.mark.parametrize(("level", "recorded"), RECORDED.items())
def test_random_policy(level: str, recorded: float) -> None:
    table = ACTION_SETS["impala9"].table
    worlds = make_world(level)
    returns = []
    for seed in range(EPISODES):
        rng = np.random.default_rng(seed)
        engine.begin(worlds, 0, seed)
        total = 0.0
        while worlds[0]["running"]:
            total += engine.advance(worlds, 0, table[rng.integers(len(table))], 4)
        returns.append(total)
    error = np.hypot(np.std(returns) / EPISODES**0.5, recorded / RECORDED_EPISODES**0.5)
    assert abs(np.mean(returns) - recorded) < 3 * error, (
        f"{np.mean(returns):.2f}, recorded {recorded}, standard error {error:.2f}"
    )
