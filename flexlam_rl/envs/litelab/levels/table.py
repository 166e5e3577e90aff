"""The levels of litelab and the parameters of their rules (DMLab's level scripts, in the reference tables A4 to A6; the
last level is litelab's own).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flexlam_rl.envs.litelab import state as s

LEVEL_FOLDER, OWN_FOLDER = "contributed/dmlab30/", "litelab/"


@dataclass(frozen=True)
class LevelSpec:
    """One level. `code` is its number in a world record, `params` are the world fields that its rules read."""

    name: str
    code: int
    family: int
    geometry: int
    seconds: int
    params: Mapping[str, float] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Folder and name of the level; DeepMind Lab's if it has the level."""
        return (OWN_FOLDER if self.code == QUADRANTS else LEVEL_FOLDER) + self.name


_SMALL = dict(
    maze_width=11,
    maze_height=11,
    room_count=4,
    room_min=3,
    room_max=5,
    spawns_per_room=5,
    objects_per_room=4,
    max_variations=1,
)
_LARGE = dict(
    maze_width=17,
    maze_height=17,
    room_count=9,
    room_min=3,
    room_max=3,
    spawns_per_room=5,
    objects_per_room=4,
    max_variations=1,
)
_ROOM = dict(maze_width=13, maze_height=13, room_count=1, room_min=11, room_max=11, spawns_per_room=5, max_variations=1)
_TAG_SMALL = dict(maze_width=11, maze_height=11, room_count=3, room_min=3, room_max=5, spawns_per_room=3, extra_connections=0.05,
                  max_variations=26, weapon_count=1, pickup_count=2)  # fmt: skip
_TAG_LARGE = dict(maze_width=21, maze_height=21, room_count=4, room_min=5, room_max=7, spawns_per_room=3, extra_connections=0.05,
                  max_variations=26, weapon_count=2, pickup_count=4)  # fmt: skip

_ROWS: tuple[tuple[str, int, int, int, Mapping[str, float]], ...] = (
    ("explore_goal_locations_large", s.EXPLORE, s.GRID, 120, _LARGE),
    ("explore_goal_locations_small", s.EXPLORE, s.GRID, 90, _SMALL),
    ("explore_object_locations_large", s.EXPLORE, s.GRID, 120, _LARGE),
    ("explore_object_locations_small", s.EXPLORE, s.GRID, 90, _SMALL),
    (
        "explore_object_rewards_few",
        s.EXPLORE,
        s.GRID,
        90,
        {**_ROOM, "objects_per_room": 8, "categories": 4, "good_categories": 2},
    ),
    (
        "explore_object_rewards_many",
        s.EXPLORE,
        s.GRID,
        120,
        {**_ROOM, "objects_per_room": 16, "categories": 8, "good_categories": 4},
    ),
    ("explore_obstructed_goals_large", s.EXPLORE, s.GRID, 120, {**_LARGE, "has_doors": 1}),
    ("explore_obstructed_goals_small", s.EXPLORE, s.GRID, 90, {**_SMALL, "has_doors": 1}),
    ("language_execute_random_task", s.LANGUAGE, s.GRID, 120, {}),
    ("lasertag_one_opponent_large", s.LASERTAG, s.GRID, 240, {**_TAG_LARGE, "bot_count": 1}),
    ("lasertag_one_opponent_small", s.LASERTAG, s.GRID, 240, {**_TAG_SMALL, "bot_count": 1}),
    ("lasertag_three_opponents_large", s.LASERTAG, s.GRID, 240, {**_TAG_LARGE, "bot_count": 3}),
    ("lasertag_three_opponents_small", s.LASERTAG, s.GRID, 240, {**_TAG_SMALL, "bot_count": 3}),
    ("natlab_varying_map_regrowth", s.NATLAB, s.TERRAIN, 120, {}),
    ("psychlab_visual_search", s.PSYCHLAB, s.POLYGONS, 150, {}),
    ("rooms_exploit_deferred_effects_train", s.DEFERRED, s.POLYGONS, 60, {}),
    ("rooms_watermaze", s.WATERMAZE, s.POLYGONS, 120, {}),
    ("maze_quadrants", s.EXPLORE, s.GRID, 25, {"maze_width": 7, "maze_height": 7, "extra_connections": 0.25}),
)

LEVELS: dict[str, LevelSpec] = {
    name: LevelSpec(name, code, family, geometry, seconds, params)
    for code, (name, family, geometry, seconds, params) in enumerate(_ROWS)
}
GOAL_LARGE, GOAL_SMALL, OBJECTS_LARGE, OBJECTS_SMALL, FEW, MANY, OBSTRUCTED_LARGE, OBSTRUCTED_SMALL = range(8)
QUADRANTS = len(_ROWS) - 1
