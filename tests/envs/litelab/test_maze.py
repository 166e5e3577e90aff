"""The maze generator against the figures of the reference, against the package labmaze, and against recorded mazes;
mazes from text.
"""

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flexlam_rl.envs.litelab import engine, observations
from tests.envs.litelab.worlds import make_world, rollout

SEEDS = 400
SMALL, LARGE = "explore_obstructed_goals_small", "explore_obstructed_goals_large"
TAG_SMALL, TAG_LARGE = "lasertag_one_opponent_small", "lasertag_one_opponent_large"
FEW, MANY = "explore_object_rewards_few", "explore_object_rewards_many"
# rooms get their own variation, so that they can be told apart
LEVELS: dict[str, dict[str, str]] = {
    name: {"maxVariations": "26"} for name in (SMALL, LARGE, TAG_SMALL, TAG_LARGE, FEW)
}


def text_of(world: np.void) -> tuple[np.ndarray, np.ndarray]:
    """Letters and variations of a world, each a (rows, cols) array of characters."""
    layers = (observations.maze_text(world, "letter"), observations.maze_text(world, "variation"))
    letters, variations = (np.array([list(line) for line in layer.splitlines()]) for layer in layers)
    return letters, variations


def mazes(level: str, count: int = SEEDS, **params: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mazes of the episodes with seeds 0 to count - 1."""
    worlds = make_world(level, **{**LEVELS.get(level, {}), **params})
    found = []
    for seed in range(count):
        engine.begin(worlds, 0, seed)
        found.append(text_of(worlds[0]))
    return found


def labmazes(level: str, count: int = SEEDS) -> list[tuple[np.ndarray, np.ndarray]]:
    """As many mazes of the package labmaze with the same parameters."""
    labmaze = pytest.importorskip("labmaze")
    w = make_world(level)[0]
    found = []
    for seed in range(1, count + 1):
        maze = labmaze.RandomMaze(
            height=int(w["maze_height"]),
            width=int(w["maze_width"]),
            max_rooms=int(w["room_count"]),
            room_min_size=int(w["room_min"]),
            room_max_size=int(w["room_max"]),
            extra_connection_probability=float(w["extra_connections"]),
            max_variations=26,
            has_doors=bool(w["has_doors"]),
            spawns_per_room=int(w["spawns_per_room"]),
            objects_per_room=int(w["objects_per_room"]),
            random_seed=seed,
        )
        layers = (str(maze.entity_layer), str(maze.variations_layer))
        found.append(tuple(np.array([list(line) for line in layer.strip("\n").split("\n")]) for layer in layers))
    return found


def neighbours(mask: np.ndarray) -> np.ndarray:
    """How many of a cell's four neighbours are in a mask (mazes have a border of wall, so nothing wraps around)."""
    return sum(np.roll(mask, step, axis).astype(int) for step in (1, -1) for axis in (0, 1))


def corridor_lengths(corridor: np.ndarray) -> list[int]:
    """Lengths of the straight runs of at least two corridor cells."""
    lengths = []
    for grid in (corridor, corridor.T):
        for line in grid:
            runs = "".join("#" if cell else " " for cell in line).split()
            lengths += [len(run) for run in runs if len(run) > 1]
    return lengths


def features(letters: np.ndarray, variations: np.ndarray) -> dict[str, Any]:
    """What the comparisons look at."""
    floor = letters != "*"
    corridor = floor & (variations == ".")
    near = neighbours(floor)
    straight = (np.roll(floor, 1, 0) & np.roll(floor, -1, 0)) | (np.roll(floor, 1, 1) & np.roll(floor, -1, 1))
    rooms = [np.argwhere(variations == name) for name in sorted(set(variations.ravel()) - {"."})]
    lengths = corridor_lengths(corridor)
    return {
        "rooms": len(rooms),
        "shapes": [tuple(np.ptp(cells, axis=0) + 1) for cells in rooms],
        "room area": sum(len(cells) for cells in rooms),
        "open": int(floor.sum()),
        "corridor": int(corridor.sum()),
        "dead ends": int((corridor & (near <= 1)).sum()),
        "junctions": int((corridor & (near >= 3)).sum()),
        "corners": int((corridor & (near == 2) & ~straight).sum()),
        "straights": len(lengths),
        "mean straight": float(np.mean(lengths)) if lengths else 0.0,
        "longest straight": max(lengths, default=0),
        "doors": int(np.isin(letters, ["H", "I"]).sum()),
        "spawns": int((letters == "P").sum()),
        "objects": int(np.isin(letters, ["G", "A"]).sum()),
    }


NUMBERS = (
    "rooms",
    "room area",
    "open",
    "corridor",
    "junctions",
    "corners",
    "straights",
    "mean straight",
    "longest straight",
    "doors",
    "spawns",
    "objects",
)


@pytest.mark.parametrize("level", list(LEVELS))
def test_like_labmaze(level: str) -> None:
    ours = [features(*maze) for maze in mazes(level)]
    theirs = [features(*maze) for maze in labmazes(level)]
    for name in NUMBERS:
        x, y = [f[name] for f in ours], [f[name] for f in theirs]
        p = stats.ks_2samp(x, y, method="asymp").pvalue
        assert p > 0.001, f"{name}: mean {np.mean(x):.3f}, labmaze {np.mean(y):.3f}, p = {p:.5f}"
    x_shapes, y_shapes = (Counter(shape for f in fs for shape in f["shapes"]) for fs in (ours, theirs))
    shapes = sorted(set(x_shapes) | set(y_shapes))
    if len(shapes) > 1:
        p = stats.chi2_contingency([[counts[shape] for shape in shapes] for counts in (x_shapes, y_shapes)]).pvalue
        assert p > 0.001, f"room shapes {x_shapes}, labmaze {y_shapes}, p = {p:.5f}"


@pytest.mark.parametrize(
    ("level", "share_of_rooms", "shapes"),
    [
        (SMALL, {4: 0.745, 3: 0.237, 2: 0.018}, {(3, 3), (3, 5), (5, 3)}),
        (LARGE, {9: 1.0}, {(3, 3)}),
        (TAG_SMALL, {3: 0.983, 2: 0.017}, {(3, 3), (3, 5), (5, 3)}),
        (TAG_LARGE, {4: 1.0}, {(5, 5), (5, 7), (7, 5)}),
        (FEW, {1: 1.0}, {(11, 11)}),
    ],
)
def test_rooms_of_the_reference(level: str, share_of_rooms: dict[int, float], shapes: set[tuple[int, int]]) -> None:
    """Table A4: shares within four standard deviations of both samples of 400."""
    found = [features(*maze) for maze in mazes(level)]
    rooms = Counter(f["rooms"] for f in found)
    for count, share in share_of_rooms.items():
        assert abs(rooms[count] / SEEDS - share) <= 4 * np.sqrt(2 * share * (1 - share) / SEEDS) + 1e-9, rooms
    assert set(rooms) <= set(share_of_rooms)
    assert {tuple(int(x) for x in shape) for f in found for shape in f["shapes"]} == shapes
    assert all(f["dead ends"] == 0 for f in found)


@pytest.mark.parametrize(("level", "low", "high", "mode"), [(SMALL, 2, 16, 9), (LARGE, 12, 35, 22)])
def test_doors_of_the_reference(level: str, low: int, high: int, mode: int) -> None:
    doors = [features(*maze)["doors"] for maze in mazes(level)]
    assert low <= min(doors) and max(doors) <= high
    # the most frequent number of a flat top is uncertain; the middle is not
    assert abs(np.median(doors) - mode) <= 2


@pytest.mark.parametrize(
    ("level", "spawns", "objects"),
    [
        ("explore_goal_locations_small", 5, 4),
        ("explore_goal_locations_large", 5, 4),
        ("explore_object_locations_small", 5, 4),
        ("explore_object_locations_large", 5, 4),
        (FEW, 5, 8),
        (MANY, 5, 16),
    ],
)
def test_markers_of_every_room(level: str, spawns: int, objects: int) -> None:
    for letters, variations in mazes(level, 50, maxVariations="26"):
        for room in set(variations.ravel()) - {"."}:
            inside = Counter(letters[variations == room])
            assert inside["P"] == spawns
            assert inside["G"] + inside["A"] == objects
        assert not set(letters[variations == "."]) & set("PGA")


def check_maze(letters: np.ndarray, variations: np.ndarray) -> None:
    """What holds for every maze: closed, connected, no dead ends, doors that separate, variations only on floor."""
    floor = letters != "*"
    assert not (floor[0].any() or floor[-1].any() or floor[:, 0].any() or floor[:, -1].any())
    assert not floor[::2, ::2][variations[::2, ::2] == "."].any()  # pillars of the lattice
    reached = np.zeros_like(floor)
    reached[tuple(np.argwhere(floor)[0])] = True
    while True:
        more = floor & (reached | (neighbours(reached) > 0))
        if (more == reached).all():
            break
        reached = more
    assert (reached == floor).all()
    assert not (floor & (variations == ".") & (neighbours(floor) <= 1)).any()
    for door, a, b in (("H", (1, 0), (0, 1)), ("I", (0, 1), (1, 0))):
        for r, c in np.argwhere(letters == door):
            assert floor[r + a[0], c + a[1]] and floor[r - a[0], c - a[1]]
            assert not floor[r + b[0], c + b[1]] and not floor[r - b[0], c - b[1]]
    assert not (variations != ".")[~floor].any()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    width=st.integers(2, 31),
    height=st.integers(2, 31),
    rooms=st.integers(1, 32),
    low=st.integers(1, 4),
    more=st.integers(0, 6),
    extra=st.floats(0, 1),
    doors=st.booleans(),
    variations=st.integers(1, 26),
)
def test_any_parameters_make_a_maze(
    seed: int, width: int, height: int, rooms: int, low: int, more: int, extra: float, doors: bool, variations: int
) -> None:
    low = min(2 * low + 1, 2 * width - 1, 2 * height - 1)
    worlds = make_world(
        "explore_goal_locations_small",
        mazeWidth=str(2 * width + 1),
        mazeHeight=str(2 * height + 1),
        roomCount=str(rooms),
        roomMinSize=str(low),
        roomMaxSize=str(low + 2 * more),
        extraConnectionProbability=str(extra),
        hasDoors="true" if doors else "false",
        maxVariations=str(variations),
    )
    engine.begin(worlds, 0, seed)
    letters, looks = text_of(worlds[0])
    assert letters.shape == looks.shape == (2 * height + 1, 2 * width + 1)
    check_maze(letters, looks)
    assert set(letters.ravel()) <= set("* PGHI" if doors else "* PG")
    assert len(set(looks.ravel()) - {"."}) <= variations


@pytest.mark.parametrize(
    "level",
    [
        "explore_goal_locations_large",
        "explore_object_locations_small",
        MANY,
        SMALL,
        LARGE,
        TAG_SMALL,
        TAG_LARGE,
        "language_execute_random_task",
    ],
)
def test_recorded_mazes(level: str) -> None:
    """The letters of recorded mazes are ours, and a recorded maze can be given back as config text, letter by
    letter.
    """
    for seed in (101, 103):
        text = rollout(level, seed)["meta"]["maze"]
        letters = np.array([list(line) for line in text.splitlines()])
        if not level.startswith("language"):
            ours = set().union(*(set(maze[0].ravel()) for maze in mazes(level, 20)))
            assert set(letters.ravel()) == ours
            floor = letters != "*"
            dead = floor & (neighbours(floor) <= 1)
            assert not dead.any()
        worlds = make_world(level, overrideEntityLayer=text)
        engine.begin(worlds, 0, seed)
        assert observations.maze_text(worlds[0], "letter") == text


def test_variations_layer() -> None:
    entities = "*****\n*P G*\n*****\n"
    worlds = make_world(
        "explore_goal_locations_small", overrideEntityLayer=entities, overrideVariationsLayer="     \n AxZ \n....."
    )
    engine.begin(worlds, 0, 0)
    assert observations.maze_text(worlds[0], "letter") == entities
    assert observations.maze_text(worlds[0], "variation") == ".....\n.A.Z.\n.....\n"
    only_looks = make_world("explore_object_rewards_few", overrideVariationsLayer=("C" * 13 + "\n") * 13)
    engine.begin(only_looks, 0, 0)
    assert set(observations.maze_text(only_looks[0], "variation")) == {"C", "\n"}


@pytest.mark.parametrize(
    ("level", "key", "text", "words"),
    [
        ("explore_goal_locations_small", "overrideEntityLayer", "\n\n", "at least one line"),
        (
            "explore_goal_locations_small",
            "overrideEntityLayer",
            "***\n*P\n***",
            "5 cells|3 cells in line 1 but 2 in line 2",
        ),
        ("explore_goal_locations_small", "overrideEntityLayer", "*PG*\n*é *", "'é' in line 2"),
        ("explore_goal_locations_small", "overrideEntityLayer", "*\tPG*", r"'\\t' in line 1"),
        ("explore_goal_locations_small", "overrideEntityLayer", "PG" * 33, "1 rows of 66 cells; at most 64"),
        ("explore_goal_locations_small", "overrideEntityLayer", "G\n" * 65, "65 rows of 1 cells; at most 64"),
        ("explore_goal_locations_small", "overrideEntityLayer", "* G*", "no spawn point 'P'"),
        ("explore_goal_locations_small", "overrideEntityLayer", "*P *", "no goal 'G'; at least one"),
        ("explore_goal_locations_small", "overrideEntityLayer", "*P*G*", "no goal 'G' that can be reached"),
        ("explore_object_locations_small", "overrideEntityLayer", "*PA*", "1 cells 'A'; this level takes 2 to 128"),
        (
            "explore_object_locations_small",
            "overrideEntityLayer",
            "PPA\n" + "AAA\n" * 43,
            "130 cells 'A'; this level takes 2 to 128",
        ),
        (
            "explore_object_rewards_few",
            "overrideEntityLayer",
            "PAAA*A",
            "from which 3 object cells 'A' can be reached; at least 4",
        ),
        ("language_execute_random_task", "overrideEntityLayer", "POO", "2 cells 'O'"),
        ("lasertag_three_opponents_small", "overrideEntityLayer", "PPP", "3 spawn points 'P', but 3 bots"),
        (
            "explore_goal_locations_small",
            "overrideVariationsLayer",
            "AAA",
            "1 rows of 3, but the maze has 11 rows of 11",
        ),
        ("language_execute_random_task", "overrideVariationsLayer", "AAA", "needs overrideEntityLayer too"),
        ("explore_goal_locations_small", "mazeWidth", "12", "mazeWidth is 12, but mazes and rooms must have odd sizes"),
        ("explore_goal_locations_small", "roomMinSize", "11", "roomMinSize is 11"),
        ("explore_goal_locations_small", "spawnCount", "9", "fewer than the 1 object cells"),
        ("explore_object_rewards_many", "objectCount", "7", "fewer than the 8 object cells"),
        ("explore_object_locations_large", "objectCount", "40", "more than the 128 object cells"),
    ],
)
def test_impossible_mazes(level: str, key: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        make_world(level, **{key: text})
    assert str(caught.value).count(".") == 1 and "\n" not in str(caught.value), "one sentence"


@pytest.mark.parametrize("level", [*LEVELS, MANY, "explore_goal_locations_large", "language_execute_random_task"])
def test_a_reset_takes_less_than_a_millisecond(level: str) -> None:
    """Maze, look, rules, items and doors together: the median over mazes, in time of this process."""
    worlds = make_world(level)
    engine.begin(worlds, 0, 0)
    medians = []
    for attempt in range(3):
        started = time.process_time()
        for seed in range(100):
            engine.begin(worlds, 0, 1000 * attempt + seed)
        medians.append((time.process_time() - started) / 100)
    assert min(medians) < 1e-3
