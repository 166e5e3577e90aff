"""Map restarts inferred from rewards by the levels' rules (reference A6), for data that does not record them.

The public expert data has no column for map restarts, but rewards reveal them: a goal, an answer, the last apple or the
platform ends the map. In doubtful cases a restart is assumed, which costs a few valid pairs.
"""

from dataclasses import dataclass

import numpy as np

from flexlam_rl.envs.domains.dmlab.levels import DMLAB_PREFIX


@dataclass(frozen=True)
class RestartRule:
    """A rule for when a level's map restarts: after a number of reward events.

    Attributes:
        unit: Reward of one event.
        cycle: Number of events after which the map restarts.
        after: Offsets from the rewarded row to the rows that may be the first of the new map. The map ends with the
            frame of the reward, and the next one begins within the same step or the following one.
        any_sign: Whether every reward counts as one event, penalties included.
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
    """Find the rule of a level; None if its map never restarts within an episode."""
    level = level.removeprefix(DMLAB_PREFIX)
    return next((rule for prefix, rule in RULES.items() if level.startswith(prefix)), None)


def infer_restarts(level: str, reward: np.ndarray, rows: int) -> np.ndarray:
    """Find the rows that may begin a new map.

    Args:
        level: Name of the level.
        reward: (T,) rewards of one episode; reward t is for action t.
        rows: Number of frames of the episode, T or T + 1.

    Returns:
        (rows,) bool.
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
