"""Random text mazes with rooms, winding corridors, connections and markers, made by the steps that DMLab's
documentation and reference A4 describe.

A maze has odd size and is a lattice: cells with odd row and column are rooms or corridors, and cells between two of
them are walls or passages. With the same parameters, mazes have the same statistics as those of the pip package
`labmaze`; the random numbers are litelab's own.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, shuffle, uniform

SPACE, STAR, SPAWN, APPLE, GOAL, SLOT, DOOR_NS, DOOR_EW = (ord(c) for c in " *PAGOHI")
PLACING_TRIES = 1000

_STEP_ROW = np.array([0, -1, 0, 1])  # by side: east, north, west, south
_STEP_COL = np.array([1, 0, -1, 0])


@kernel
def generate(w, object_letter):
    """Draw a new maze with the world's parameters into `letter`, `variation` and `cell`."""
    rows, cols = int(w.maze_height), int(w.maze_width)
    w.rows = rows
    w.cols = cols
    letter = w.letter
    for r in range(rows):
        for c in range(cols):
            letter[r, c] = STAR
    region = np.zeros((rows, cols), np.int32)
    corner = np.empty((max(1, w.room_count), 4), np.int32)  # row, col, height, width of each room
    rooms = _place_rooms(w, region, corner)
    regions = fill_with_corridors(w, region, rooms)
    _connect(w, region, regions)
    _remove_dead_ends(w, region, rooms)
    _straighten(w, region, rooms)
    if w.given_variations == 0:
        for r in range(rows):
            for c in range(cols):
                k = region[r, c]
                w.variation[r, c] = 1 + (k - 1) % w.max_variations if 0 < k <= rooms else 0
    for k in range(rooms):
        _mark_room(w, corner[k], object_letter)
    set_cells(w)


@kernel
def set_cells(w):
    """Derive walls and doors from the letters; doors start closed in levels that have doors, else open."""
    for r in range(w.rows):
        for c in range(w.cols):
            x = w.letter[r, c]
            w.cell[r, c] = s.WALL if x == STAR else s.DOOR_H if x == DOOR_NS else s.DOOR_I if x == DOOR_EW else s.OPEN
            w.door_open[r, c] = 1 - w.has_doors


@kernel
def scatter(w, marker, count):
    """Write `marker` into up to `count` blank cells, chosen uniformly."""
    blank = np.empty(w.rows * w.cols, np.int32)
    n = 0
    for r in range(w.rows):
        for c in range(w.cols):
            if w.letter[r, c] == SPACE:
                blank[n] = r * w.cols + c
                n += 1
    shuffle(w, blank, n)
    for i in range(min(n, count)):
        w.letter[blank[i] // w.cols, blank[i] % w.cols] = marker


@kernel
def _room_side(w, stretched):
    """Draw an odd side length, uniform in [min, middle]; a stretched side gets longer by up to the rest."""
    middle = (w.room_min + w.room_max) // 2
    side = w.room_min + 2 * below(w, (middle - w.room_min) // 2 + 1)
    if stretched:
        side += 2 * below(w, (w.room_max - middle + 1) // 2 + 1)
    return min(side, w.room_max)


@kernel
def _place_rooms(w, region, corner):
    """Put up to room_count rooms on the lattice without overlap, and return the number of rooms that found a place."""
    rows, cols = region.shape
    rooms = 0
    for _ in range(w.room_count):
        placed = False
        for _try in range(PLACING_TRIES):
            tall = uniform(w) < 0.5
            height = _room_side(w, tall)
            width = _room_side(w, not tall)
            if rooms == 0 and _try == PLACING_TRIES - 1:
                height, width = int(w.room_min), int(w.room_min)  # there is always one room
            if height > rows - 2 or width > cols - 2:
                continue
            top = 1 + 2 * below(w, (rows - 2 - height) // 2 + 1)
            left = 1 + 2 * below(w, (cols - 2 - width) // 2 + 1)
            free = True
            for k in range(rooms):
                a = corner[k]
                if top < a[0] + a[2] and a[0] < top + height and left < a[1] + a[3] and a[1] < left + width:
                    free = False
                    break
            if free:
                corner[rooms, 0] = top
                corner[rooms, 1] = left
                corner[rooms, 2] = height
                corner[rooms, 3] = width
                rooms += 1
                for r in range(top, top + height):
                    for c in range(left, left + width):
                        region[r, c] = rooms
                        w.letter[r, c] = SPACE
                placed = True
                break
        if not placed:
            break
    return rooms


@kernel
def fill_with_corridors(w, region, rooms):
    """Carve a random depth-first tree into each connected part of the remaining lattice; returns the number of regions."""
    rows, cols = region.shape
    regions = rooms
    stack = np.empty((rows * cols // 4 + 1, 2), np.int32)
    ways = np.empty(4, np.int32)
    for r0 in range(1, rows, 2):
        for c0 in range(1, cols, 2):
            if region[r0, c0] != 0:
                continue
            regions += 1
            region[r0, c0] = regions
            w.letter[r0, c0] = SPACE
            stack[0, 0] = r0
            stack[0, 1] = c0
            depth = 1
            while depth > 0:
                r, c = stack[depth - 1]
                n = 0
                for side in range(4):
                    rr, cc = r + 2 * _STEP_ROW[side], c + 2 * _STEP_COL[side]
                    if 0 < rr < rows and 0 < cc < cols and region[rr, cc] == 0:
                        ways[n] = side
                        n += 1
                if n == 0:
                    depth -= 1
                    continue
                side = ways[below(w, n)]
                for _ in range(2):
                    r += _STEP_ROW[side]
                    c += _STEP_COL[side]
                    region[r, c] = regions
                    w.letter[r, c] = SPACE
                stack[depth, 0] = r
                stack[depth, 1] = c
                depth += 1
    return regions


@kernel
def _connect(w, region, regions):
    """Open one random passage between each two neighboring regions, and each other candidate with probability
    extra_connections.
    """
    rows, cols = region.shape
    seen = np.zeros((regions + 1, regions + 1), np.int32)
    chosen = np.zeros((regions + 1, regions + 1), np.int32)
    # the first pass chooses uniformly among the candidates of each pair, the second one opens them
    for opening in range(2):
        for r in range(1, rows - 1):
            for c in range(1 + r % 2, cols - 1, 2):
                if w.letter[r, c] != STAR or (r % 2 == 0 and c % 2 == 0):
                    continue
                a, b = (region[r, c - 1], region[r, c + 1]) if r % 2 == 1 else (region[r - 1, c], region[r + 1, c])
                if a == b:
                    continue
                a, b = min(a, b), max(a, b)
                if opening == 0:
                    seen[a, b] += 1
                    if below(w, seen[a, b]) == 0:
                        chosen[a, b] = r * cols + c
                elif chosen[a, b] == r * cols + c or uniform(w) < w.extra_connections:
                    w.letter[r, c] = SPACE if w.has_doors == 0 else DOOR_EW if r % 2 == 1 else DOOR_NS


@kernel
def _openings(letter, r, c):
    n = 0
    for side in range(4):
        if letter[r + _STEP_ROW[side], c + _STEP_COL[side]] != STAR:
            n += 1
    return n


@kernel
def _remove_dead_ends(w, region, rooms):
    """Turn corridor cells with a single opening into walls until there are none."""
    rows, cols = region.shape
    letter = w.letter
    for r0 in range(1, rows - 1):
        for c0 in range(1, cols - 1):
            r, c = r0, c0
            while letter[r, c] != STAR and not 0 < region[r, c] <= rooms and _openings(letter, r, c) <= 1:
                letter[r, c] = STAR
                for side in range(4):
                    if letter[r + _STEP_ROW[side], c + _STEP_COL[side]] != STAR:
                        r += _STEP_ROW[side]
                        c += _STEP_COL[side]
                        break


@kernel
def _corridor(letter, region, rooms, r, c):
    return letter[r, c] != STAR and not 0 < region[r, c] <= rooms


@kernel
def _bend_length(letter, region, rooms, r, c, side, turn):
    """Base length of a corridor's U-turn with a corner at (r, c); 0 if there is none that a straight way can replace.

    The base runs from the corner towards `side` (east or south), the legs to its right (`turn` 1) or left (-1).
    """
    dr, dc = _STEP_ROW[side], _STEP_COL[side]
    ur, uc = turn * dc, turn * dr
    if letter[r + ur, c + uc] == STAR:
        return 0
    length = 0
    rr, cc = r, c
    while True:
        if not _corridor(letter, region, rooms, rr + dr, cc + dc):
            return 0
        rr += 2 * dr
        cc += 2 * dc
        length += 2
        if not _corridor(letter, region, rooms, rr, cc) or _openings(letter, rr, cc) != 2:
            return 0
        if letter[rr + ur, cc + uc] != STAR:
            break
        if letter[rr + dr, cc + dc] == STAR:
            return 0
    for leg in range(1, 3):
        if not _corridor(letter, region, rooms, r + leg * ur, c + leg * uc) or not _corridor(
            letter, region, rooms, rr + leg * ur, cc + leg * uc
        ):
            return 0
    for k in range(1, length):
        if letter[r + 2 * ur + k * dr, c + 2 * uc + k * dc] != STAR:
            return 0
    return length


@kernel
def _touches(mark, r, c, side, turn, length):
    """Whether a U-turn goes through a marked cell."""
    dr, dc = _STEP_ROW[side], _STEP_COL[side]
    ur, uc = turn * dc, turn * dr
    for k in range(length + 1):
        if mark[r + k * dr, c + k * dc] != 0:
            return True
    for leg in range(1, 3):
        if mark[r + leg * ur, c + leg * uc] != 0 or mark[r + leg * ur + length * dr, c + leg * uc + length * dc] != 0:
            return True
    return False


@kernel
def _find_bend(w, region, rooms, low, high, mark):
    """Find the first U-turn in reading order with a base of `low` to `high` cells (that touches a mark, if there are
    marks): row, col, side, turn, length.
    """
    letter = w.letter
    for r in range(1, w.rows, 2):
        for c in range(1, w.cols, 2):
            if not _corridor(letter, region, rooms, r, c) or _openings(letter, r, c) != 2:
                continue
            for side in range(0, 4, 3):  # bases towards the east and the south
                for turn in range(1, -2, -2):
                    length = _bend_length(letter, region, rooms, r, c, side, turn)
                    if low <= length <= high and (len(mark) == 0 or _touches(mark, r, c, side, turn, length)):
                        return r, c, side, turn, length
    return 0, 0, 0, 0, 0


@kernel
def _cut_bend(w, region, mark, r, c, side, turn, length):
    """Replace a U-turn by the straight way between the ends of its legs, and mark that way."""
    letter = w.letter
    dr, dc = _STEP_ROW[side], _STEP_COL[side]
    ur, uc = turn * dc, turn * dr
    for k in range(length + 1):
        letter[r + k * dr, c + k * dc] = STAR
    letter[r + ur, c + uc] = STAR
    letter[r + ur + length * dr, c + uc + length * dc] = STAR
    mark[:] = 0
    for k in range(length + 1):
        rr, cc = r + 2 * ur + k * dr, c + 2 * uc + k * dc
        mark[rr, cc] = 1
        if letter[rr, cc] == STAR:
            letter[rr, cc] = SPACE
            region[rr, cc] = 0


@kernel
def _straighten(w, region, rooms):
    """Cut U-turns of corridors in rounds until there are no wide ones left.

    A round cuts a narrow one, then a wide one, each followed by the U-turns that this creates. Some narrow ones
    therefore remain, as in labmaze's mazes.
    """
    nowhere = np.empty((0, 0), np.uint8)
    mark = np.zeros((w.rows, w.cols), np.uint8)
    widest = w.rows + w.cols
    wide = True
    while wide:
        wide = False
        for low, high in ((2, 2), (4, widest)):
            r, c, side, turn, length = _find_bend(w, region, rooms, low, high, nowhere)
            wide = wide or length > 2
            while length > 0:
                _cut_bend(w, region, mark, r, c, side, turn, length)
                r, c, side, turn, length = _find_bend(w, region, rooms, 2, widest, mark)


@kernel
def _mark_room(w, corner, object_letter):
    """Put the spawn markers, then the object markers, into random cells of a room."""
    height, width = corner[2], corner[3]
    cells = np.arange(height * width)
    shuffle(w, cells, len(cells))
    for i in range(min(len(cells), w.spawns_per_room + w.objects_per_room)):
        r, c = corner[0] + cells[i] // width, corner[1] + cells[i] % width
        w.letter[r, c] = SPAWN if i < w.spawns_per_room else object_letter
