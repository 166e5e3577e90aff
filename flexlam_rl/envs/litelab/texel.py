"""How one pixel gets its colour: mip level, texel, light."""

from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def mip_level(footprint):
    """Mip level whose texels are about as large as a pixel that covers `footprint` level-0 texels."""
    return (footprint > 1.5) + (footprint > 3.0) + (footprint > 6.0) + (footprint > 12.0) + (footprint > 24.0)


@kernel
def put(rgb, y, x, packed, light):
    """Write a packed colour times light / 256, 0 <= light <= 256."""
    c = int(packed)
    rgb[y, x, 0] = ((c & 255) * light) >> 8
    rgb[y, x, 1] = (((c >> 8) & 255) * light) >> 8
    rgb[y, x, 2] = (((c >> 16) & 255) * light) >> 8


@kernel
def sky_texel(sky, number, ex, ey, ez, dx, dy, dz):
    """Packed colour of a sky seen from an eye in a direction of any length.

    A sky is a cube without its lower face, around the world's origin: in the recordings it stands still while the player moves,
    and its north and west faces are mirrored.
    """
    half = tx.SKY_HALF
    reach_x = (half - ex if dx > 0.0 else half + ex) * abs(dy)
    reach_y = (half - ey if dy > 0.0 else half + ey) * abs(dx)
    # at the smaller of reach / (|dx| |dy|) the ray meets a side
    if reach_x <= reach_y:
        t = (half - ex) / dx if dx > 0.0 else (-half - ex) / dx
        across = ey + t * dy
        face = 0 if dx > 0.0 else 2
    else:
        t = (half - ey) / dy if dy > 0.0 else (-half - ey) / dy
        across = ex + t * dx
        face = 1 if dy > 0.0 else 3
    z = ez + t * dz
    if z < half:
        down = half - z
        left = half - across
    else:
        t = (half - ez) / dz
        face = 4
        left = half - (ey + t * dy)
        down = half + (ex + t * dx)
    scale = 0.5 * tx.SKY_SIZE / half
    i = min(max(int(left * scale), 0), tx.SKY_SIZE - 1)
    j = min(max(int(down * scale), 0), tx.SKY_SIZE - 1)
    return sky[number, face, j, i]


@kernel
def picture_texel(pictures, hit_centre, hit_z, right, number, along, z, reach):
    """Packed colour of wall picture `number` (from 1) at a wall point, alpha 0 where the picture does not cover it."""
    a = (along - hit_centre) * right * (1.0 / tx.PICTURE_WIDTH) + 0.5
    b = (hit_z - z) * (1.0 / tx.PICTURE_WIDTH) + 0.5
    if a < 0.0 or a >= 1.0 or b < 0.0 or b >= 1.0:
        return 0
    level = min(mip_level(reach * (tx.PICTURE_SIZE / tx.PICTURE_WIDTH)), tx.PICTURE_LEVELS - 1)
    size = tx.PICTURE_SIZE >> level
    return int(pictures[number - 1, tx.picture_level_start(level) + int(b * size) * size + int(a * size)])
