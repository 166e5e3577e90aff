"""The two-dimensional overlay: weapon bar, ammunition, health, head, armor, score and clock (reference A0).

Everything is placed on DMLab's virtual screen of 640 x 480 and averaged into the picture's pixels, so that digits are
as blurred at 64 x 64 as in the original. In the recordings the crosshair is not visible at 64 x 64; here it is drawn
for widths of 160 or more.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel

WHITE = (255.0, 255.0, 255.0)
BLACK = (0.0, 0.0, 0.0)
AMBER = (185.0, 128.0, 5.0)  # digits
PALE = (205.0, 205.0, 205.0)  # digits of numbers above 100
LOW = (215.0, 30.0, 20.0)  # digits of numbers below 25
CYAN = (150.0, 255.0, 255.0)
BLUE = (0.0, 0.0, 255.0)
WEAPONS = ((235.0, 235.0, 222.0), (190.0, 170.0, 60.0), (225.0, 60.0, 40.0), (90.0, 140.0, 255.0), (80.0, 220.0, 120.0))
CROSSHAIR_WIDTH = 160

# Segments of the digits 0 to 9: top, upper left, upper right, middle, lower left, lower right, bottom (bit 0 to 6).
SEGMENTS = (
    0b1110111,
    0b0100100,
    0b1011101,
    0b1101101,
    0b0101110,
    0b1101011,
    0b1111011,
    0b0100101,
    0b1111111,
    0b1101111,
)
MINUS, COLON = 10, 11
GRID = 50  # sample points per side of a character's box


@kernel
def _blend(rgb, y, x, color, share):
    for c in range(3):
        old = rgb[y, x, c]
        rgb[y, x, c] = int(old + (color[c] - old) * share + 0.5)


@kernel
def _rect(rgb, x0, y0, x1, y1, color, alpha):
    """Blend a rectangle of the virtual screen; pixels at its edge are blended by their share inside."""
    height, width, _ = rgb.shape
    x0 *= width / 640.0
    x1 *= width / 640.0
    y0 *= height / 480.0
    y1 *= height / 480.0
    for y in range(max(int(y0), 0), min(int(np.ceil(y1)), height)):
        part = min(y1, y + 1.0) - max(y0, float(y))
        for x in range(max(int(x0), 0), min(int(np.ceil(x1)), width)):
            _blend(rgb, y, x, color, alpha * part * (min(x1, x + 1.0) - max(x0, float(x))))


@kernel
def _ellipse(rgb, cx, cy, rx, ry, color, alpha):
    """Blend an ellipse of the virtual screen, averaged over 2 x 2 points per pixel."""
    height, width, _ = rgb.shape
    per_x = 640.0 / width
    per_y = 480.0 / height
    for y in range(max(int((cy - ry) / per_y), 0), min(int((cy + ry) / per_y) + 1, height)):
        for x in range(max(int((cx - rx) / per_x), 0), min(int((cx + rx) / per_x) + 1, width)):
            inside = 0
            for k in range(4):
                dx = ((x + 0.25 + 0.5 * (k & 1)) * per_x - cx) / rx
                dy = ((y + 0.25 + 0.5 * (k >> 1)) * per_y - cy) / ry
                inside += dx * dx + dy * dy < 1.0
            if inside > 0:
                _blend(rgb, y, x, color, alpha * 0.25 * inside)


def _glyphs() -> np.ndarray:
    """Make the masks of the characters, (12, GRID, GRID) bool, rows from the top."""
    v, u = np.meshgrid((np.arange(GRID) + 0.5) / GRID, (np.arange(GRID) + 0.5) / GRID, indexing="ij")
    upper, left, right = v <= 0.5, u < 0.34, u > 0.66
    segments = (v < 0.20, upper & left, upper & right, abs(v - 0.5) < 0.08, ~upper & left, ~upper & right, v > 0.80)
    inside = (u >= 0.06) & (u <= 0.94) & (v >= 0.04) & (v <= 0.96)
    ink = [inside & np.any([segments[k] for k in range(7) if bits >> k & 1], axis=0) for bits in SEGMENTS]
    minus = inside & (abs(v - 0.5) < 0.1)
    colon = (abs(u - 0.5) < 0.16) & ((abs(v - 0.3) < 0.1) | (abs(v - 0.7) < 0.1))
    return np.stack([*ink, minus, colon])


INK = _glyphs()


@kernel
def _character(rgb, number, x0, y0, w, h, color, alpha):
    """Blend one character into its box of the virtual screen, averaged over 2 x 2 points per pixel."""
    height, width, _ = rgb.shape
    per_x = 640.0 / width
    per_y = 480.0 / height
    step_u = per_x / w * GRID
    step_v = per_y / h * GRID
    first_u = -x0 / w * GRID
    first_v = -y0 / h * GRID
    for y in range(max(int(y0 / per_y), 0), min(int((y0 + h) / per_y) + 1, height)):
        for x in range(max(int(x0 / per_x), 0), min(int((x0 + w) / per_x) + 1, width)):
            inked = 0
            for k in range(4):
                u = first_u + (x + 0.25 + 0.5 * (k & 1)) * step_u
                v = first_v + (y + 0.25 + 0.5 * (k >> 1)) * step_v
                if 0.0 <= u < GRID and 0.0 <= v < GRID:
                    inked += INK[number, int(v), int(u)]
            if inked > 0:
                _blend(rgb, y, x, color, alpha * 0.25 * inked)


@kernel
def _number(rgb, value, right, y, w, h, color, alpha):
    """Blend an integer that ends at the virtual column `right`."""
    rest = abs(value)
    x = right - w
    while True:
        _character(rgb, rest % 10, x, y, w, h, color, alpha)
        rest //= 10
        x -= w
        if rest == 0:
            break
    if value < 0:
        _character(rgb, MINUS, x, y, w, h, color, alpha)


@kernel
def _clock(rgb, seconds, shift, color, alpha):
    """Draw the time left, m:ss, at the top right."""
    right = 629.0 + shift
    y = 2.0 + shift
    _character(rgb, seconds % 10, right - 9.0, y, 9.0, 14.0, color, alpha)
    _character(rgb, seconds % 60 // 10, right - 18.0, y, 9.0, 14.0, color, alpha)
    if seconds >= 60:
        _character(rgb, COLON, right - 25.0, y, 7.0, 14.0, color, alpha)
        _number(rgb, seconds // 60, right - 25.0, y, 9.0, 14.0, color, alpha)


@kernel
def _weapon_bar(p, rgb):
    """Draw icons of the player's weapons, with a frame around the one in use."""
    count = 0
    for k in range(5):
        count += p.owned[k] != 0
    x = 320.0 - 20.0 * count
    for k in range(5):
        if p.owned[k] == 0:
            continue
        if k == p.weapon:
            _rect(rgb, x - 4.0, 376.0, x + 36.0, 416.0, CYAN, 0.22)
        if k == s.GAUNTLET:
            _ellipse(rgb, x + 14.0, 397.0, 8.0, 17.0, WEAPONS[k], 0.75)
        else:
            _rect(rgb, x + 4.0, 384.0, x + 28.0, 408.0, WEAPONS[k], 0.22)
        x += 40.0


@kernel
def _status_bar(p, rgb):
    ammo = p.ammo[p.weapon]
    if ammo >= 0:
        _number(rgb, ammo, 96.0, 432.0, 32.0, 48.0, AMBER if ammo > 0 else LOW, 0.8)
        _rect(rgb, 110.0, 430.0, 138.0, 446.0, CYAN, 0.75)
        _rect(rgb, 110.0, 446.0, 128.0, 455.0, CYAN, 0.75)
    color = PALE if p.health > 100 else AMBER if p.health >= 25 else LOW
    _number(rgb, max(p.health, 0), 281.0, 432.0, 32.0, 48.0, color, 0.8 if p.health <= 100 else 0.5)
    if p.armor > 0:
        _number(rgb, p.armor, 466.0, 432.0, 32.0, 48.0, AMBER, 0.8)
        _ellipse(rgb, 490.0, 456.0, 18.0, 20.0, AMBER, 0.7)


@kernel
def _score_and_clock(w, rgb):
    """Draw the score in a blue box at least two characters wide, and the time left."""
    score = int(np.floor(w.total))
    digits = 1 + (score < 0)
    rest = abs(score) // 10
    while rest > 0:
        digits += 1
        rest //= 10
    box = 8.0 + 16.0 * max(digits, 2)
    _rect(rgb, 640.0 - box, 404.0, 640.0, 428.0, BLUE, 0.36)
    _number(rgb, score, 636.0, 408.0, 14.0, 16.0, WHITE, 1.0)
    seconds = max(w.episode_frames - w.frame, 0) // 60
    _clock(rgb, seconds, 2.0, BLACK, 0.8)
    _clock(rgb, seconds, 0.0, WHITE, 1.0)


@kernel
def draw_hud(w, rgb, hud):
    """Draw the overlay onto `rgb` (H, W, 3); `hud` is 0 for the crosshair only, 1 to add the head icon, 2 for all.

    A tagged player who waits to come back sees only score and clock, as in the recordings.
    """
    width = rgb.shape[1]
    p = w.players[0]
    if hud >= 2:
        _score_and_clock(w, rgb)
    if p.alive == 0:
        return
    if width >= CROSSHAIR_WIDTH:
        _rect(rgb, 319.0, 228.0, 321.0, 252.0, WHITE, 0.45)
        _rect(rgb, 308.0, 239.0, 332.0, 241.0, WHITE, 0.45)
    if hud >= 1:
        _ellipse(rgb, 309.5, 449.0, 19.0, 24.0, WHITE, 1.0)
    if hud >= 2:
        _weapon_bar(p, rgb)
        _status_bar(p, rgb)
