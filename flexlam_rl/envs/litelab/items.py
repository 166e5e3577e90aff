"""Items: which one the player touches, and when a taken item comes back."""

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def touched_item(w, p):
    """Index of the first active item whose pickup box (reference A0) contains the player's origin, or -1."""
    for k in range(w.item_count):
        it = w.items[k]
        if it.active == 1:
            dx = p.pos[0] - it.pos[0]
            dy = p.pos[1] - it.pos[1]
            dz = p.pos[2] - it.pos[2]
            if -50.0 <= dx <= 44.0 and -36.0 <= dy <= 36.0 and -36.0 <= dz <= 36.0:
                return k
    return -1


@kernel
def take(w, k):
    """Remove item `k` until its respawn time, if it has one."""
    it = w.items[k]
    it.active = 0
    it.respawn_at = w.map_ms + it.wait_ms if it.wait_ms >= 0 else -1


@kernel
def respawn_items(w):
    """Bring back the items whose respawn time has passed."""
    for k in range(w.item_count):
        it = w.items[k]
        if it.active == 0 and it.kind != s.NO_ITEM and it.respawn_at >= 0 and w.map_ms >= it.respawn_at:
            it.active = 1
            it.respawn_at = -1


@kernel
def add_item(w, kind, look, x, y, z, reward):
    """Append an item with defaults (solid white, medium size, bobbing, no respawn) and return its index."""
    k = w.item_count
    w.item_count += 1
    it = w.items[k]
    it.kind = kind
    it.look = look
    it.pos[0] = x
    it.pos[1] = y
    it.pos[2] = z
    it.reward = reward
    it.active = 1
    it.pattern = 0
    it.color[:] = 255
    it.scale = 1.0
    it.bob = 1
    it.group = 0
    it.cell[0] = -1
    it.cell[1] = -1
    it.wait_ms = -1
    it.respawn_at = -1
    return k
