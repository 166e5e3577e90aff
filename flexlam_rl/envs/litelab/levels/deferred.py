"""Rules of deferred."""

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
def tick(w, item):
    """One frame."""
    w.map_over = 0
