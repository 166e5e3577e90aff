"""The supported levels: 17 of DMLab-30 (`LEVELS`), and those that only litelab has (`OWN`).

Each level has its name, length, whether the suite scores it, and published returns. These returns belong to the real
engine. litelab's own are in `litelab_returns.json`; the two are never mixed in one table.
"""

from dataclasses import dataclass

from flexlam_rl.envs.litelab.levels.table import LEVEL_FOLDER, OWN_FOLDER

DMLAB_PREFIX = LEVEL_FOLDER
DEFAULT_LEVEL = "explore_goal_locations_small"


@dataclass(frozen=True)
class Level:
    """One level.

    Attributes:
        name: Name in DMLab-30, without the folder.
        seconds: Length of an episode in seconds of 60 frames.
        scored: Whether the level is one of the 11 that the suite scores.
        terminates: Whether its rules can end an episode before the time is up (`terminated`, not `truncated`).
        players: Number of players: the agent and the bots.
        human: Mean human return on the real engine, from DMLab-30 (reference A7); None if the real engine lacks the
            level.
        random: Mean return of a random policy, from the same table.
        expert: Mean return of the expert data of the FlexLAM paper; None if the paper gives none.
        random_percent: The paper's random policy in percent of `expert`; None if the paper gives none.
        folder: Folder that precedes the name in the engine's path of the level.

    The returns from DMLab-30 for `rooms_exploit_deferred_effects_train` are those of its test level.
    """

    name: str
    seconds: int
    scored: bool
    terminates: bool
    players: int
    human: float | None
    random: float | None
    expert: float | None
    random_percent: float | None
    folder: str = DMLAB_PREFIX

    @property
    def frames(self) -> int:
        """Length of an episode in 60 Hz frames."""
        return self.seconds * 60

    @property
    def path(self) -> str:
        """Name of the level as the engine takes it, with the folder."""
        return self.folder + self.name


LEVELS: dict[str, Level] = {
    row[0]: Level(*row)
    for row in (
        ("explore_goal_locations_large", 120, True, False, 1, 194.5, 3.14, 158.82, 1.95),
        ("explore_goal_locations_small", 90, True, False, 1, 267.5, 7.66, 368.09, 2.09),
        ("explore_object_locations_large", 120, True, False, 1, 65.65, 4.673, 56.12, 8.37),
        ("explore_object_locations_small", 90, True, False, 1, 74.45, 3.575, 92.00, 3.91),
        ("explore_object_rewards_few", 90, True, False, 1, 77.7, 2.073, 40.83, 5.14),
        ("explore_object_rewards_many", 120, True, False, 1, 106.7, 2.438, 53.45, 4.49),
        ("explore_obstructed_goals_large", 120, True, False, 1, 119.5, 2.61, 60.02, 4.33),
        ("explore_obstructed_goals_small", 90, True, False, 1, 206.0, 6.76, 269.45, 2.52),
        ("language_execute_random_task", 120, False, False, 1, 254.05, -5.913, -10.14, None),
        ("lasertag_one_opponent_large", 240, False, False, 2, 18.6, -0.083, -0.03, None),
        ("lasertag_one_opponent_small", 240, False, False, 2, 12.65, -0.224, -0.06, None),
        ("lasertag_three_opponents_large", 240, False, False, 4, 31.5, -0.102, 7.40, None),
        ("lasertag_three_opponents_small", 240, False, False, 4, 18.55, -0.214, None, None),
        ("natlab_varying_map_regrowth", 120, False, False, 1, 24.45, 2.989, 9.49, None),
        ("psychlab_visual_search", 150, True, True, 1, 78.5, 0.085, 39.85, 0.25),
        ("rooms_exploit_deferred_effects_train", 60, True, True, 1, 85.65, 8.501, 40.16, 21.17),
        ("rooms_watermaze", 120, True, False, 1, 54.0, 4.065, 28.32, 14.48),
    )
}
OWN: dict[str, Level] = {
    "maze_quadrants": Level("maze_quadrants", 25, False, False, 1, None, None, None, None, OWN_FOLDER)
}
"""Levels that only litelab has: a maze without rewards, for training world models."""
SUITE: tuple[str, ...] = tuple(name for name, level in LEVELS.items() if level.scored)


def level_named(name: str) -> Level:
    """Find a level by name, with or without its folder (`contributed/dmlab30/`).

    Raises:
        ValueError: There is no level of that name.
    """
    level = (LEVELS | OWN).get(name.rpartition("/")[2]) if isinstance(name, str) else None
    if level is None or name not in (level.name, level.path):
        raise ValueError(f"Unknown level {name!r}: expected one of {', '.join(LEVELS | OWN)}.")
    return level
