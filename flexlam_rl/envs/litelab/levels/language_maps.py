"""The four fixed maps of the language level (reference A6.5): `*` wall, `.` floor, `P` spawn point, `O` place of an
object.
"""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel

TWO_AREAS, TWO_ROOMS, FOUR_ROOMS, SIX_ROOMS = range(4)

_MAPS = (
    """
O....O
..PP..
O....O
""",
    """
O..***..O
..P...P..
O..***..O
""",
    """
***O.O***
***...***
***.P.***
O..*.*..O
..P...P..
O..*.*..O
***.P.***
***...***
***O.O***
""",
    """
O..***..O
..P...P..
O..*.*..O
****.****
O..*.*..O
..P...P..
O..*.*..O
****.****
O..*.*..O
..P...P..
O..***..O
""",
)
# The rooms: variation A in the first block, B in the second, ...
_ROOMS = (
    """
AAABBB
AAABBB
AAABBB
""",
    """
AAA...BBB
AAA...BBB
AAA...BBB
""",
    """
...AAA...
...AAA...
...AAA...
BBB...CCC
BBB...CCC
BBB...CCC
...DDD...
...DDD...
...DDD...
""",
    """
AAA...BBB
AAA...BBB
AAA...BBB
.........
CCC...DDD
CCC...DDD
CCC...DDD
.........
EEE...FFF
EEE...FFF
EEE...FFF
""",
)


def _grids(texts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Convert texts to one padded uint8 array (map, row, col), and their numbers of rows and columns."""
    rows = [text.split() for text in texts]
    size = np.array([(len(r), len(r[0])) for r in rows], np.int32)
    grid = np.zeros((len(texts), size[:, 0].max(), size[:, 1].max()), np.uint8)
    for k, lines in enumerate(rows):
        grid[k, : size[k, 0], : size[k, 1]] = [list(line.encode()) for line in lines]
    return grid, size


_LETTERS, _SIZE = _grids(_MAPS)
_VARIATIONS = np.where(_grids(_ROOMS)[0] >= ord("A"), _grids(_ROOMS)[0].astype(np.int32) - ord("A") + 1, 0).astype(
    np.uint8
)


@kernel
def load_map(w, which):
    """Copy a fixed map into the world's maze."""
    w.rows = _SIZE[which, 0]
    w.cols = _SIZE[which, 1]
    for r in range(w.rows):
        for c in range(w.cols):
            w.letter[r, c] = _LETTERS[which, r, c]
            w.variation[r, c] = _VARIATIONS[which, r, c]


@kernel
def match_map(w):
    """Find which fixed map the world's maze is, 255 if none; its rooms become variations unless the user gave some."""
    for which in range(len(_SIZE)):
        same = w.rows == _SIZE[which, 0] and w.cols == _SIZE[which, 1]
        r = 0
        while same and r < w.rows:
            for c in range(w.cols):
                same = same and w.letter[r, c] == _LETTERS[which, r, c]
            r += 1
        if same:
            if w.given_variations == 0:
                load_map(w, which)
            return which
    return 255
