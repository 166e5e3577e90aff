"""The view of one world: walls, floor and sky, then sprites and HUD.

Camera (reference A0): 90 degrees wide, height by the aspect ratio, eye at origin + view height, no roll. A pixel's ray
is forward + u * right + v * up, so that depth is the distance along the view axis. Walls are vertical and the nearest
one hides what is behind it, so a table of horizontal rays (rays.py) tells which wall plane a pixel meets; the pixel
then intersects that plane exactly. Only silhouettes are quantized, to the table's sampling. Drawing has no state: a
picture depends on the world only.
"""

from flexlam_rl.envs.litelab import render_natlab, render_psychlab
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.camera import camera
from flexlam_rl.envs.litelab.hud import draw_hud
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.sprites import draw_sprites
from flexlam_rl.envs.litelab.view import draw_view


@kernel
def surface(w):
    """Return (floor texture, height of the floor, ceiling texture, height of the ceiling, light of the floor, sky).

    Light is 0 to 256. A floor texture of -1 stands for the one of each maze cell, a ceiling texture of -1 for the sky.
    """
    if w.family == s.WATERMAZE:
        return tx.WATER, 16.0, -1, 1e9, 256, tx.SKY_POOL
    if w.family == s.DEFERRED:
        return tx.DEFERRED_FLOOR, 0.0, tx.DEFERRED_CEILING, 80.0, int(64.0 + 192.0 * w.bright), tx.SKY_CITY
    return -1, 1.0, -1, 1e9, 256, tx.SKY_CITY


@kernel
def draw(worlds, i, look, rgb, depth, hud):
    """Draw world `i` as its player sees it.

    `rgb` is (H, W, 3) uint8, `depth` is (H, W) float32 in world units along the view axis, 65536 for the sky; both are
    overwritten. `hud` is 0 for the crosshair only (DMLab's minimalUI), 1 for head icon and crosshair (reducedUI), 2 for
    all.
    """
    w = worlds[i]
    if w.family == s.NATLAB:
        render_natlab.draw(w, look, rgb, depth)
    elif w.family == s.PSYCHLAB:
        render_psychlab.draw(w, look, rgb, depth)
    else:
        draw_view(w, camera(w), look, surface(w), rgb, depth)
    draw_sprites(w, look, rgb, depth)
    draw_hud(w, rgb, hud)
