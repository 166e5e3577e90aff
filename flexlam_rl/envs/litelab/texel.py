"""How one pixel gets its colour: mip level, texel, light."""

from flexlam_rl.envs.litelab import rays
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.shade import STEP_BITS

FRACTION = 24  # bits of an integer texture coordinate below one repeat
ONE = float(1 << FRACTION)
LIGHT_SHIFT = FRACTION - STEP_BITS  # from a texture coordinate to a place in a light table


@kernel
def mip_level(footprint):
    """Mip level whose texels are no smaller than a pixel, which covers `footprint` level-0 texels; as smooth as the original."""
    return (footprint > 1.0) + (footprint > 2.0) + (footprint > 4.0) + (footprint > 8.0) + (footprint > 16.0)


@kernel
def put(rgb, y, x, packed, light):
    """Write a packed colour times light / 256, 0 <= light <= 256."""
    c = int(packed)
    rgb[y, x, 0] = ((c & 255) * light) >> 8
    rgb[y, x, 1] = (((c >> 8) & 255) * light) >> 8
    rgb[y, x, 2] = (((c >> 16) & 255) * light) >> 8


@kernel
def sky_side(ex, ey, dx, dy):
    """Which side of the sky's cube a horizontal ray meets: (face, length of the ray until there, coordinate along the face).

    A sky is a cube without its lower face, around the world's origin: in the recordings it stands still while the player moves,
    and its north and west faces are mirrored.
    """
    ahead_x = tx.SKY_HALF - ex if dx > 0.0 else tx.SKY_HALF + ex
    ahead_y = tx.SKY_HALF - ey if dy > 0.0 else tx.SKY_HALF + ey
    if ahead_x * abs(dy) <= ahead_y * abs(dx):
        t = ahead_x / abs(dx)
        return (0 if dx > 0.0 else 2), t, ey + t * dy
    t = ahead_y / abs(dy)
    return (1 if dy > 0.0 else 3), t, ex + t * dx


@kernel
def sky_place(at):
    """Texel of a coordinate on a face, which falls from the first texel to the last."""
    return min(max(int((tx.SKY_HALF - at) * (0.5 * tx.SKY_SIZE / tx.SKY_HALF)), 0), tx.SKY_SIZE - 1)


@kernel
def sky_texel(sky, number, ex, ey, ez, dx, dy, dz):
    """Packed colour of a sky seen from an eye in a direction of any length."""
    face, t, across = sky_side(ex, ey, dx, dy)
    z = ez + t * dz
    if z < tx.SKY_HALF:
        return sky[number, face, sky_place(across), sky_place(z)]
    t = (tx.SKY_HALF - ez) / dz
    return sky[number, 4, sky_place(ey + t * dy), sky_place(-ex - t * dx)]


@kernel
def picture_texel(pictures, hits, k, along, z, covered, packed):
    """Colour of the picture of hit `k` at a wall point (a pixel there covers `covered` units), or `packed` beside the picture."""
    a = (along - hits[k, rays.CENTRE]) * hits[k, rays.RIGHT] * (1.0 / tx.PICTURE_WIDTH) + 0.5
    b = (hits[k, rays.PICTURE_Z] - z) * (1.0 / tx.PICTURE_WIDTH) + 0.5
    if a < 0.0 or a >= 1.0 or b < 0.0 or b >= 1.0:
        return packed
    level = min(mip_level(covered * (tx.PICTURE_SIZE / tx.PICTURE_WIDTH)), tx.PICTURE_LEVELS - 1)
    size = tx.PICTURE_SIZE >> level
    return int(pictures[int(hits[k, rays.PICTURE]) - 1, tx.PICTURE_LEVEL_START[level] + int(b * size) * size + int(a * size)])
