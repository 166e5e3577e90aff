"""The view of psychlab: a screen seen from a pillar under a dome.

The content of the screen follows from the trial (reference A6.8). It is computed for every pixel at the point where its
ray meets the screen, so pictures agree exactly with the gaze in the level's rules.
"""

from flexlam_rl.envs.litelab import dome
from flexlam_rl.envs.litelab.camera import camera
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import psychlab as rules

FAR = 1000.0  # depth of the dome
PILLAR_TOP = 72.0
PILLAR_Y = -32.0

# The array: 7 x 7 cells of 56 pixels on a 512-pixel screen, with shapes made of 14-pixel squares.
PIXELS = 512.0
ARRAY_START = 59.0
CELL = 56.0
DOT = 14.0
# Rows of three dots, from the top: T, inverted T, L, mirrored L, R-like corner, mirrored corner, S, Z.
BITS = (
    0b111_010_010,
    0b010_010_111,
    0b100_100_111,
    0b001_001_111,
    0b111_100_100,
    0b111_001_001,
    0b011_010_110,
    0b110_010_011,
)
COLORS = (0xBF00FF, 0x00BFFF, 0xFFFF00, 0xFF3F00, 0xFF007F)  # packed: red in the low byte
WHITE, BLACK, RED, RIGHT, WRONG = 0xFFFFFF, 0x000000, 0x0000FF, 0x64FF64, 0x6464FF
CROSS = 0.05  # half the length of the fixation cross
CROSS_THICK = 0.0125  # half its thickness


@kernel
def screen_point(ex, ey, ez, dx, dy, dz):
    """Find where a ray from the eye meets the screen: (hit, u, v, distance), with u and v in 0..1, v down."""
    if dy <= 1e-9:
        return False, 0.0, 0.0, 0.0
    t = (rules.SCREEN_Y - ey) / dy
    u = (ex + t * dx - rules.SCREEN_LEFT) / rules.SCREEN_SIZE
    v = (rules.SCREEN_TOP - ez - t * dz) / rules.SCREEN_SIZE
    return u >= 0.0 and u <= 1.0 and v >= 0.0 and v <= 1.0, u, v, t


@kernel
def _button(w, response):
    if w.psy_hover == rules.NOWHERE or w.psy_hover != rules.ON_ABSENT + response:
        return BLACK
    return RIGHT if w.psy_present == response else WRONG


@kernel
def screen_color(w, u, v):
    """Packed color of a point of the screen."""
    if w.psy_phase == rules.BLANK:
        return BLACK if w.frame == 0 else WHITE
    if w.psy_phase == rules.FIXATION:
        a, b = abs(u - 0.5), abs(v - 0.5)
        return RED if min(a, b) < CROSS_THICK and max(a, b) < CROSS else WHITE
    if rules.ABSENT_BUTTON[2] <= v <= rules.ABSENT_BUTTON[3]:
        if rules.ABSENT_BUTTON[0] <= u <= rules.ABSENT_BUTTON[1]:
            return _button(w, 0)
        if rules.PRESENT_BUTTON[0] <= u <= rules.PRESENT_BUTTON[1]:
            return _button(w, 1)
    x, y = u * PIXELS - ARRAY_START, v * PIXELS - ARRAY_START
    if x >= 0.0 and y >= 0.0 and x < rules.GRID * CELL and y < rules.GRID * CELL:
        col, row = int(x / CELL), int(y / CELL)
        shape = w.psy_items[row, col, 0]
        if shape >= 0:
            i, j = int((x - col * CELL) / DOT), int((y - row * CELL) / DOT)
            if i < 3 and j < 3 and (BITS[shape] >> (8 - 3 * j - i)) & 1:
                return COLORS[w.psy_items[row, col, 1]]
    return WHITE


@kernel
def _dome_texel(cube, dx, dy, dz):
    ax, ay, az = abs(dx), abs(dy), abs(dz)
    if az > ax and az > ay:
        face, inv, a, b = (4, 1.0 / az, dx, dy) if dz > 0.0 else (5, 1.0 / az, dx, dy)
    elif ax >= ay:
        face, inv, a, b = (0, 1.0 / ax, -dy, dz) if dx > 0.0 else (2, 1.0 / ax, dy, dz)
    else:
        face, inv, a, b = (1, 1.0 / ay, dx, dz) if dy > 0.0 else (3, 1.0 / ay, -dx, dz)
    half = 0.5 * dome.FACE
    i = min(int((a * inv + 1.0) * half), dome.FACE - 1)
    j = min(int((1.0 - b * inv) * half), dome.FACE - 1)
    return int(cube[face, j, i])


@kernel
def draw(w, look, rgb, depth):
    """Draw into rgb (H, W, 3) uint8 and depth (H, W) float32, the distance along the view axis."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, cos_pitch, sin_pitch = camera(w)
    pictures = look.psychlab
    per_texel = dome.FRONT / dome.FRONT_SIZE
    per_slab = 0.5 * dome.PILLAR / dome.PILLAR_HALF
    for y in range(height):
        v = (height - 1 - 2 * y) / width
        flat = cos_pitch + v * sin_pitch
        dz = v * cos_pitch - sin_pitch
        t_pillar = (PILLAR_TOP - ez) / dz if dz < -1e-9 else 1e9
        for x in range(width):
            u = (2 * x + 1 - width) / width
            dx = flat * cos_yaw + u * sin_yaw
            dy = flat * sin_yaw - u * cos_yaw
            color = -1
            t = t_pillar
            px, py = ex + t * dx + dome.PILLAR_HALF, ey + t * dy - PILLAR_Y + dome.PILLAR_HALF
            if px >= 0.0 and px < 2.0 * dome.PILLAR_HALF and py >= 0.0 and py < 2.0 * dome.PILLAR_HALF:
                color = int(pictures.pillar[dome.PILLAR - 1 - int(py * per_slab), int(px * per_slab)])
            else:
                on, a, b, t = screen_point(ex, ey, ez, dx, dy, dz)
                if on:
                    color = screen_color(w, a, b)
                elif t > 0.0:
                    i = (ex + t * dx - dome.FRONT_LEFT) * per_texel
                    j = (dome.FRONT_TOP - ez - t * dz) * per_texel
                    if i >= 0.0 and j >= 0.0 and i < dome.FRONT and j < dome.FRONT:
                        texel = int(pictures.front[int(j), int(i)])
                        if texel >> 24 != 0:
                            color = texel
            if color < 0:
                color = _dome_texel(pictures.cube, dx, dy, dz)
                t = FAR
            rgb[y, x, 0] = color & 255
            rgb[y, x, 1] = (color >> 8) & 255
            rgb[y, x, 2] = (color >> 16) & 255
            depth[y, x] = t
