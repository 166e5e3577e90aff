"""Map restarts of data that does not record them, inferred from the levels' rules (reference A6).

The public expert data has no column that tells a map restart. Rewards tell them: a goal, an answer, the last apple or
the platform ends the map. What is inferred errs on the side of a restart too many, which costs a few valid pairs.
"""

from dataclasses import dataclass

import numpy as np

from flexlam_rl.envs.domains.dmlab.levels import DMLAB_PREFIX


@dataclass(frozen=True)
class RestartRule:
    """When a level's map restarts.

    Attributes:
        unit: Reward of one thing that counts.
        cycle: Things that end a map.
        after: Rows after the rewarded one before which the restart may lie: a map ends with the frame of its reward,
            and the next begins within the same step or the following one.
        any_sign: Every reward counts as one thing, penalties too.
    """

    unit: float
    cycle: int
    after: tuple[int, ...] = (1, 2)
    any_sign: bool = False


RULES: dict[str, RestartRule] = {
    "explore_goal_locations": RestartRule(10, 1),
    "explore_obstructed_goals": RestartRule(10, 1),
    "explore_object_locations_small": RestartRule(1, 8),
    "explore_object_locations_large": RestartRule(1, 18),
    "explore_object_rewards_few": RestartRule(2, 2),
    "explore_object_rewards_many": RestartRule(2, 4),
    "language_execute_random_task": RestartRule(1, 1, any_sign=True),
    "rooms_watermaze": RestartRule(
        1, 5, (15, 16, 17, 18)
    ),  # the player is held on the platform for a second after the fifth reward
}


def restart_rule(level: str) -> RestartRule | None:
    """The rule of a level, None where the map never restarts within an episode."""
    level = level.removeprefix(DMLAB_PREFIX)
    return next((rule for prefix, rule in RULES.items() if level.startswith(prefix)), None)


def infer_restarts(level: str, reward: np.ndarray, rows: int) -> np.ndarray:
    """Rows that may begin a new map, (rows,) bool.

    Args:
        level: Name of the level.
        reward: (T,) of one episode, brought by action t.
        rows: Frames of the episode, T or T + 1.
    """
    reward, found = np.asarray(reward), np.zeros(rows, bool)
    rule = restart_rule(level)
    if rule is None:
        return found
    things = (reward != 0).astype(int) if rule.any_sign else np.ceil(np.maximum(reward, 0) / rule.unit)
    maps = np.cumsum(things) // rule.cycle
    ends = np.flatnonzero(np.diff(maps, prepend=0) > 0)
    at = (ends[:, None] + np.array(rule.after)).reshape(-1)
    found[at[at < rows]] = True
    return found
