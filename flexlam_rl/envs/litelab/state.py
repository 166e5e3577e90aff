"""The complete state of one litelab world, as one NumPy record that compiled functions read and write.

A world has everything that an episode needs: clock, random stream, maze, items, players, and the variables of the
level's rules. N worlds are one array of N records, so a single environment and a batch run the same compiled code.

Units are those of DMLab: 100 world units per maze cell, engine milliseconds, angles in 65536ths of a turn. The axes are
x east, y north, z up. Yaw is counterclockwise from east; a positive pitch looks down.
"""

import numpy as np

MAX_CELLS = 64  # largest number of rows and columns of a text maze
MAX_ITEMS = 64
MAX_PLAYERS = 4  # player 0 is the agent, the others are bots
MAX_MISSILES = 16
MAX_SEGMENTS = 64  # vertical wall pieces of a world without a maze
MAX_BRUSHES = 96  # convex solids of a world without a maze
MAX_TRIALS = 80
MAX_PLANTS = 64  # rocks, bushes and cacti of a terrain
TERRAIN_POINTS = 65  # points per side of a terrain's height table

CELL = 100.0  # world units per maze cell
WALL_HEIGHT = 100.0

# Families of levels, which determine rules, geometry and renderer of a world.
EXPLORE, LANGUAGE, LASERTAG, NATLAB, PSYCHLAB, DEFERRED, WATERMAZE = range(7)
# Geometry: a text maze, a list of segments and brushes, or a height field.
GRID, POLYGONS, TERRAIN = range(3)

# Contents of a maze cell that matter for movement and sight.
OPEN, WALL, DOOR_H, DOOR_I = range(4)  # DOOR_H: slab along x, crossed north-south; DOOR_I: slab along y
# Sides of a cell, as seen from inside it; decals[row, col, side] hangs on that side's wall.
EAST, NORTH, WEST, SOUTH = range(4)

# Kinds of items.
NO_ITEM, REWARD, GOAL, WEAPON, HEALTH, ARMOR, BOX = range(7)
# Looks of items: below SHAPES a special model, from SHAPES on one of the 40 object shapes (see shapes.py).
(
    LOOK_APPLE,
    LOOK_GOAL,
    LOOK_CAKE,
    LOOK_BOX,
    LOOK_MUSHROOM,
    LOOK_HEALTH,
    LOOK_ARMOR,
    LOOK_ROCKET,
    LOOK_LIGHTNING,
    LOOK_RAILGUN,
) = range(10)
SHAPES = 16
# Patterns of the two-colored objects.
SOLID, CHEQUERED, CROSSES, DIAGONAL_STRIPE, DISCS, HEX, PINSTRIPE, SPOTS, SWIRLS = range(9)

# Weapons, in the order of player["ammo"].
GAUNTLET, MACHINEGUN, ROCKET, LIGHTNING, RAILGUN = range(5)

ITEM = np.dtype(
    [
        ("pos", "f8", 3),  # origin of the item
        ("kind", "u1"),
        ("active", "u1"),  # whether it is visible and can be touched
        ("look", "u1"),
        ("pattern", "u1"),
        ("color", "u1", (2, 3)),  # the two colors of the pattern, RGB
        ("scale", "f4"),
        ("bob", "u1"),  # whether it bobs and spins
        ("group", "u1"),  # for the level's rules: category, goal or distractor group, weapon number
        ("cell", "i2", 2),  # row, col in a maze, else -1
        ("reward", "i4"),
        ("wait_ms", "i4"),  # engine ms from a pickup to the respawn; -1 for never
        ("respawn_at", "i8"),  # engine ms at which it comes back; -1 for never
    ],
    align=True,
)

PLAYER = np.dtype(
    [
        ("pos", "f8", 3),  # origin: 24 above the feet
        ("vel", "f8", 3),  # units per engine second
        ("pitch", "i4"),  # 65536ths of a turn, -32768..32767
        ("yaw", "i4"),
        ("spin", "f8", 3),  # VEL.ROT: degrees per second (pitch, yaw, roll) of the last frame
        ("view_height", "f8"),  # eye above origin
        ("on_ground", "u1"),
        ("crouched", "u1"),
        ("jump_held", "u1"),
        ("arriving", "u1"),  # is lifted above the floor for the frame of a restart
        ("fire_held", "u1"),
        ("alive", "u1"),
        ("weapon", "u1"),
        ("look_rest", "f8", 2),  # pitch, yaw: remainder of the look input below a whole 65536th
        ("knockback_ms", "i4"),  # while above 0: no friction, acceleration as in the air, and walls do not slow
        ("landing_ms", "i4"),  # while above 0, after a fast fall: walls do not slow
        ("health", "i4"),
        ("armor", "i4"),
        ("ammo", "i4", 5),  # -1 infinite
        ("owned", "u1", 5),
        ("reload_ms", "i4"),
        ("life_ms", "i4"),  # time since the last spawn
        ("decay_ms", "i4"),  # time since health above 100 was last lowered
        ("dead_ms", "i4"),  # time since death
        ("spawn_yaw", "i4"),  # yaw of the last spawn, which DMLab reports as the yaw of a dead player
        ("dead_yaw", "i4"),  # where a dead player looks (towards who tagged it); drawn instead of yaw while alive is 0
        ("score", "i4"),
        ("flash_ms", "i4"),  # time for which muzzle flash and tracer are still drawn
        ("shot_end", "f8", 3),  # where the last hitscan shot ended
        # bots
        ("skill", "u1"),  # 0 Cygni, 1 Leonis, 2 Epsilon
        ("enemy", "i1"),  # player number, -1 none
        ("sees_ms", "i4"),  # time for which the enemy has been in sight without a break
        ("lost_ms", "i4"),  # time for which it has been out of sight
        ("hurt_by", "i1"),  # number of the player that last shot it, -1 none
        ("think_ms", "i4"),  # time until the next decision
        ("rest_ms", "i4"),  # time for which it stands still
        ("aim_ms", "i4"),  # time until the aim error changes
        ("goal_ms", "i4"),  # time until the next choice of a target
        ("goal_item", "i1"),  # item that it walks to, -1 none
        ("target", "i2", 2),
        ("strafe", "i1"),
        ("strafe_ms", "i4"),
        ("hop", "u1"),  # wants to jump in this frame
        ("shoot", "u1"),  # wants to fire
        ("aim", "f8", 2),  # error of the aim in radians: yaw, pitch
        ("dist", "u2", (MAX_CELLS, MAX_CELLS)),  # steps to target, 65535 unreachable
    ],
    align=True,
)

# `burst_ms`: remaining time for which the burst of a rocket is visible at pos
MISSILE = np.dtype(
    [("pos", "f8", 3), ("vel", "f8", 3), ("owner", "i1"), ("active", "u1"), ("age_ms", "i4"), ("burst_ms", "i4")],
    align=True,
)

SEGMENT = np.dtype(
    [
        ("x0", "f8"), ("y0", "f8"), ("x1", "f8"), ("y1", "f8"),  # seen from its left side, going from 0 to 1
        ("z0", "f8"), ("z1", "f8"),
        ("texture", "u1"),
        ("picture", "u1"),  # 0 none, else the picture in its middle
        ("active", "u1"),
    ],
    align=True,
)  # fmt: skip

# Things on a terrain: rocks and cacti are solid (a brush each), bushes are not.
ROCK, BUSH, CACTUS = range(3)
PLANT = np.dtype(
    [("pos", "f8", 3), ("kind", "u1"), ("radius", "f4"), ("height", "f4"), ("turn", "f4")], align=True
)  # pos on the ground

# A convex solid: the intersection of the first `sides` half-spaces n.x <= d; the bounds speed up tests.
BRUSH = np.dtype(
    [("sides", "u1"), ("active", "u1"), ("normal", "f8", (8, 3)), ("dist", "f8", 8), ("lo", "f8", 3), ("hi", "f8", 3)],
    align=True,
)

WORLD = np.dtype(
    [
        # level and parameters of its rules (config can change them before a reset)
        ("level", "u1"),
        ("family", "u1"),
        ("geometry", "u1"),
        ("episode_frames", "i4"),  # length of an episode in 60 Hz frames
        ("maze_width", "u1"),
        ("maze_height", "u1"),
        ("room_count", "u1"),
        ("room_min", "u1"),
        ("room_max", "u1"),
        ("spawns_per_room", "u1"),
        ("objects_per_room", "u1"),
        ("has_doors", "u1"),
        ("extra_connections", "f8"),
        ("max_variations", "u1"),
        ("categories", "u1"),  # object rewards
        ("good_categories", "u1"),
        ("bot_count", "u1"),
        ("weapon_count", "u1"),
        ("pickup_count", "u1"),
        # given by the user: config keys overrideEntityLayer, overrideVariationsLayer, startPosition, startAngles
        ("given_maze", "u1"),
        ("given_variations", "u1"),
        ("given_start", "u1"),
        ("given_angles", "u1"),
        ("start_pos", "f8", 3),
        ("start_blocked", "u1"),  # whether the given start is in a wall of the current map
        ("start_angles", "f8", 2),  # pitch, yaw in degrees
        # clock
        ("rng", "u8"),
        ("seed", "u8"),
        ("running", "u1"),
        ("frame", "i4"),  # frames since the start of the episode
        ("map_frame", "i4"),  # frames since the last map (re)start
        ("map_ms", "i8"),  # engine ms since the last map (re)start
        ("dt_ms", "i4"),  # engine ms of the current frame
        ("clock_residue", "i4"),  # see clock.py
        ("clock_lead", "i4"),
        ("map_over", "u1"),  # whether the next frame is a restart
        ("episode_over", "u1"),  # whether the rules, not the time, have ended the episode
        ("restarts", "i4"),  # map restarts in this episode
        ("reward", "f8"),  # collected in this frame
        ("total", "f8"),  # collected in this episode
        # text maze
        ("rows", "i4"),
        ("cols", "i4"),
        ("letter", "u1", (MAX_CELLS, MAX_CELLS)),  # entity layer, ASCII
        ("variation", "u1", (MAX_CELLS, MAX_CELLS)),  # variations layer: 0 for '.', 1 for 'A', ...
        ("cell", "u1", (MAX_CELLS, MAX_CELLS)),  # OPEN, WALL, DOOR_H, DOOR_I
        ("door_open", "u1", (MAX_CELLS, MAX_CELLS)),
        ("decal", "u1", (MAX_CELLS, MAX_CELLS, 4)),  # 0 none, else picture number + 1
        ("wall_texture", "u1", 27),  # by variation
        ("floor_texture", "u1", 27),
        ("ground", "u4", (MAX_CELLS, MAX_CELLS)),  # data of a cell for drawing, from shade.prepare
        # other geometry
        ("segments", SEGMENT, MAX_SEGMENTS),
        ("segment_count", "i4"),
        ("brushes", BRUSH, MAX_BRUSHES),
        ("brush_count", "i4"),
        ("terrain_seed", "u8"),
        ("terrain_height", "f4", (TERRAIN_POINTS, TERRAIN_POINTS)),  # [y, x], filled from the seed by terrain.build
        ("plants", PLANT, MAX_PLANTS),
        ("plant_count", "i4"),
        ("sky", "u1"),
        ("bright", "f8"),  # light of the deferred-effects rooms, 0..1
        # things
        ("items", ITEM, MAX_ITEMS),
        ("item_count", "i4"),
        ("players", PLAYER, MAX_PLAYERS),
        ("player_count", "i4"),
        ("missiles", MISSILE, MAX_MISSILES),
        ("bot_hue", "f8"),
        # rules' own variables
        ("goal_row", "i2"),
        ("goal_col", "i2"),
        ("left", "i4"),  # number of objects to take before the map ends
        ("picked", "i4"),
        ("variant", "u1"),  # deferred effects: configuration; language: map
        ("chosen", "u1", MAX_ITEMS),  # object locations: which slots have apples in this episode
        ("category_look", "u1", 16),
        ("category_pattern", "u1", 16),
        ("category_color", "u1", (16, 2, 3)),
        ("category_good", "u1", 16),
        ("task", "u1"),  # language: row of the task table
        ("words", "i2", 4),  # language: colors and shapes of the instruction, -1 unused
        ("platform", "f8", 2),  # water maze
        ("platform_up", "u1"),
        ("platform_ms", "i4"),
        ("end_ms", "i8"),  # deferred effects: engine ms at which the episode ends, -1 not yet
        # psychlab visual search
        ("psy_phase", "u1"),
        ("psy_wait", "i4"),
        ("psy_hover", "u1"),
        ("psy_difficulty", "i4"),
        ("psy_index", "i4"),
        ("psy_trial_in_block", "i4"),
        ("psy_correct_in_block", "i4"),
        ("psy_trials", "i4"),
        ("psy_present", "u1"),
        ("psy_mode", "u1"),
        ("psy_set_size", "i4"),
        ("psy_items", "i1", (7, 7, 2)),  # shape, color of each cell, -1 empty
        ("psy_started", "i4"),  # frame at which the array appeared
        ("psy_log", "i4", (MAX_TRIALS, 6)),  # response, correct, frames, set size, mode, target present
    ],
    align=True,
)
