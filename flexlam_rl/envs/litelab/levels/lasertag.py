"""Rules of lasertag."""

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def begin(w):
    """Start of an episode."""
    w.map_over = 0


@kernel
def restart(w):
    """(Re)start of the map."""
    w.map_over = 0


@kernel
def touch(w, item):
    """The player touches item number `item`."""
    w.map_over = 0


@kernel
def tick(w, item, fire):
    """One frame."""
    w.map_over = 0


@kernel
def fire_only(w, fire):
    """Shooting in levels without opponents: ammunition, flash and marks, no reward."""
    w.map_over = w.map_over
