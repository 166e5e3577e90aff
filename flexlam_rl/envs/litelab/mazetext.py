"""Checks of mazes that users ask for by parameters or by text (config keys overrideEntityLayer and
overrideVariationsLayer).

The entity layer has one character per cell. `*` is wall, everything else is floor: `P` spawn point, `A` apple or
object, `G` goal, `O` place of a language object, `H` door crossed north-south, `I` door crossed east-west, `w` weapon,
`u` pickup; other printable characters have no meaning. In the variations layer, `A` to `Z` give a cell the look of that
variation, everything else the look of corridors.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels.language import FEWEST_SLOTS
from flexlam_rl.envs.litelab.levels.table import FEW, MANY, OBJECTS_LARGE, OBJECTS_SMALL, QUADRANTS

_WALL = "*"


def load_maze_text(w: np.void, entities: str = "", variations: str = "") -> None:
    """Set the maze of a world from text, for all episodes from the next one on.

    Args:
        w: World record with its level's parameters.
        entities: Entity layer, lines of equal length; "" leaves it to the level.
        variations: Variations layer of the same size; "" leaves it to the level.

    Raises:
        ValueError: The level has no maze, or cannot be played in this one.
    """
    if (entities or variations) and w["geometry"] != s.GRID:
        raise ValueError(
            "This level has no text maze, so overrideEntityLayer and overrideVariationsLayer must be empty."
        )
    if entities:
        grid = _grid("overrideEntityLayer", entities)
        _check(w, grid)
        w["rows"], w["cols"] = grid.shape
        w["letter"][: grid.shape[0], : grid.shape[1]] = grid
        w["variation"][:] = 0
        w["given_maze"] = 1
    if variations:
        if not entities and w["family"] == s.LANGUAGE:
            raise ValueError(
                "overrideVariationsLayer in the language level needs overrideEntityLayer too, because its map changes."
            )
        looks = _grid("overrideVariationsLayer", variations)
        shape = grid.shape if entities else (int(w["maze_height"]), int(w["maze_width"]))
        if looks.shape != shape:
            raise ValueError(
                f"overrideVariationsLayer has {looks.shape[0]} rows of {looks.shape[1]}, but the maze has {shape[0]} "
                f"rows of {shape[1]}."
            )
        named = (looks >= ord("A")) & (looks <= ord("Z"))
        w["variation"][:] = 0
        w["variation"][: shape[0], : shape[1]] = np.where(named, looks.astype(np.int64) - ord("A") + 1, 0)
        w["given_variations"] = 1


def check_parameters(w: np.void) -> None:
    """Check the parameters of a generated maze.

    Raises:
        ValueError: No playable maze has such parameters; the message names the wrong one.
    """
    if w["geometry"] != s.GRID or w["family"] == s.LANGUAGE or w["given_maze"] == 1:
        return
    width, height, low, high = (int(w[name]) for name in ("maze_width", "maze_height", "room_min", "room_max"))
    sizes = {"mazeWidth": width, "mazeHeight": height}
    rooms_too = w["level"] != QUADRANTS
    for key, value in (sizes | ({"roomMinSize": low, "roomMaxSize": high} if rooms_too else {})).items():
        if value % 2 == 0:
            raise ValueError(f"{key} is {value}, but mazes and rooms must have odd sizes.")
    if not rooms_too:
        return
    if not low <= min(high, width - 2, height - 2):
        raise ValueError(
            f"roomMinSize is {low}, but must exceed neither roomMaxSize {high} nor the inside of a {width} by {height} "
            "maze."
        )
    spawns, objects, rooms = (int(w[name]) for name in ("spawns_per_room", "objects_per_room", "room_count"))
    if w["family"] == s.EXPLORE:
        rewards = w["level"] in (FEW, MANY)
        fewest = int(w["categories"]) if rewards else 1 if w["level"] not in (OBJECTS_LARGE, OBJECTS_SMALL) else 2
        if min(objects, low * low - spawns) < fewest:
            raise ValueError(
                f"spawnCount {spawns} and objectCount {objects} leave fewer than the {fewest} object cells that a "
                f"{low} by {low} room needs here."
            )
        if not rewards and rooms * objects > 2 * s.MAX_ITEMS:
            raise ValueError(
                f"roomCount {rooms} times objectCount {objects} is more than the {2 * s.MAX_ITEMS} object cells that "
                "a world can hold."
            )


def _grid(name: str, text: str) -> np.ndarray:
    """Convert a text to a (rows, cols) uint8 array; blank lines before and after it are ignored."""
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    if not any(lines):
        raise ValueError(f"{name} is {text!r}, but a maze needs at least one line of cells.")
    for number, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            raise ValueError(
                f"{name} has {len(lines[0])} cells in line 1 but {len(line)} in line {number}; all lines must be "
                "equally long."
            )
        for letter in line:
            if not " " <= letter <= "~":
                raise ValueError(f"{name} holds {letter!r} in line {number}; cells must be printable ASCII characters.")
    if len(lines) > s.MAX_CELLS or len(lines[0]) > s.MAX_CELLS:
        raise ValueError(
            f"{name} has {len(lines)} rows of {len(lines[0])} cells; at most {s.MAX_CELLS} by {s.MAX_CELLS} are "
            "supported."
        )
    return np.array([list(line.encode()) for line in lines], np.uint8)


def _check(w: np.void, grid: np.ndarray) -> None:
    """Raise ValueError if the level's rules cannot be played in a maze."""
    spawns = _cells(grid, "P")
    if not spawns:
        raise ValueError("overrideEntityLayer has no spawn point 'P'; at least one is needed.")
    if w["family"] == s.LANGUAGE:
        _check_count(grid, "O", FEWEST_SLOTS, grid.size)
    elif w["family"] == s.LASERTAG:
        if len(spawns) <= w["bot_count"]:
            raise ValueError(
                f"overrideEntityLayer has {len(spawns)} spawn points 'P', but {w['bot_count']} bots and the player "
                "need one each."
            )
        _check_count(grid, "wu", 0, s.MAX_ITEMS)
    elif w["level"] in (OBJECTS_LARGE, OBJECTS_SMALL):
        _check_count(grid, "A", 2, 2 * s.MAX_ITEMS)
    elif w["level"] in (FEW, MANY):
        slots = _cells(grid, "A")
        best = min(len(slots & _reachable(grid, spawn)) for spawn in spawns)
        if best < w["categories"]:
            raise ValueError(
                f"overrideEntityLayer has a spawn point from which {best} object cells 'A' can be reached; at least "
                f"{w['categories']} are needed."
            )
    elif w["level"] != QUADRANTS:
        goals = _cells(grid, "G")
        if not goals:
            raise ValueError("overrideEntityLayer has no goal 'G'; at least one is needed.")
        if not any(goals & _reachable(grid, spawn) for spawn in spawns):
            raise ValueError("overrideEntityLayer has no goal 'G' that can be reached from a spawn point 'P'.")


def _check_count(grid: np.ndarray, letters: str, fewest: int, most: int) -> None:
    n = len(_cells(grid, letters))
    if not fewest <= n <= most:
        raise ValueError(
            f"overrideEntityLayer has {n} cells {' or '.join(map(repr, letters))}; this level takes {fewest} to {most}."
        )


def _cells(grid: np.ndarray, letters: str) -> set[tuple[int, int]]:
    return {(int(r), int(c)) for r, c in np.argwhere(np.isin(grid, list(letters.encode())))}


def _reachable(grid: np.ndarray, start: tuple[int, int]) -> set[tuple[int, int]]:
    """Find the cells that could be reached from `start` if all doors were open."""
    found, frontier = {start}, [start]
    while frontier:
        r, c = frontier.pop()
        for cell in ((r, c + 1), (r - 1, c), (r, c - 1), (r + 1, c)):
            inside = 0 <= cell[0] < grid.shape[0] and 0 <= cell[1] < grid.shape[1]
            if inside and cell not in found and grid[cell] != ord(_WALL):
                found.add(cell)
                frontier.append(cell)
    return found
