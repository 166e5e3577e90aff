"""Rules of natlab_varying_map_regrowth (reference A6.7): gather mushrooms on a terrain; each grows again after about a minute.

There are 100 maps; which one is drawn anew for each episode. A map is a seed of the terrain, with its own mushrooms, waits, spawn
points and sky, so that it is the same in every episode that draws it.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.items import add_item
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.physics import place
from flexlam_rl.envs.litelab.rng import below, between, mix, normal, uniform

MAPS = 100
SIZE = 2048.0  # side of the playing field
MARGIN = 80.0  # nothing grows nearer to the border
MUSHROOMS_MIN, MUSHROOMS_MAX = 5, 27
MUSHROOMS_MEAN, MUSHROOMS_SD = 17.7, 4.5
CLUSTERED = 0.3  # share that grows beside another one
NEAR_MIN, NEAR_MAX = 32.0, 220.0
APART = 120.0  # between clusters, at least
WAIT_MIN_MS, WAIT_MAX_MS = 48000, 72000
MUSHROOM_ABOVE = 12.0  # origin of a mushroom above the ground
START_ABOVE = 24.125 + 8.0
# Of 19 maps, 9 are at night, 6 by day and 4 at dawn.
NIGHT, DAY, DAWN = range(3)
