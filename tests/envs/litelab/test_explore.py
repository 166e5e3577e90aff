"""Rules of the explore levels: goals, apples, categories, doors, restarts, and the touches that were recorded."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from flexlam_rl.envs.litelab import engine, observations
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels.explore import PALETTE
from flexlam_rl.envs.litelab.levels.grid import ITEM_Z
from flexlam_rl.envs.litelab.levels.names import SHAPE_NAMES
from tests.envs.litelab.worlds import IDLE, make_world, native, play

GOALS = ("explore_goal_locations_small", "explore_goal_locations_large")
OBSTRUCTED = ("explore_obstructed_goals_small", "explore_obstructed_goals_large")
OBJECTS = ("explore_object_locations_small", "explore_object_locations_large")
FEW, MANY = "explore_object_rewards_few", "explore_object_rewards_many"
STEPS = ((0, 1), (-1, 0), (0, -1), (1, 0))


def letters_of(world: np.void) -> np.ndarray:
    """Entity layer as a (rows, cols) array of characters."""
    return np.array([list(line) for line in observations.maze_text(world, "letter").splitlines()])


def cell_of(world: np.void, pos: np.ndarray) -> tuple[int, int]:
    """Row and column of a position."""
    return int(world["rows"]) - 1 - int(pos[1] // s.CELL), int(pos[0] // s.CELL)


def items_of(world: np.void) -> np.ndarray:
    """The items that exist."""
    return world["items"][: world["item_count"]]


def put_player(worlds: np.ndarray, pos: np.ndarray) -> None:
    """Put the player at a position, at rest."""
    worlds[0]["players"][0]["pos"] = (pos[0], pos[1], 25.125)
    worlds[0]["players"][0]["vel"] = 0.0


def touch(worlds: np.ndarray, item: int) -> float:
    """Put the player on an item and play one frame; returns the reward."""
    put_player(worlds, worlds[0]["items"][item]["pos"])
    return play(worlds)


def passable(world: np.void, start: tuple[int, int], doors: bool) -> set[tuple[int, int]]:
    """Cells that can be walked to, through all doors or only the open ones."""
    found, frontier = {start}, [start]
    while frontier:
        r, c = frontier.pop()
        for dr, dc in STEPS:
            rr, cc = r + dr, c + dc
            inside = 0 <= rr < world["rows"] and 0 <= cc < world["cols"]
            if not inside or (rr, cc) in found or world["cell"][rr, cc] == s.WALL:
                continue
            if world["cell"][rr, cc] in (s.DOOR_H, s.DOOR_I) and not doors and not world["door_open"][rr, cc]:
                continue
            found.add((rr, cc))
            frontier.append((rr, cc))
    return found


@pytest.mark.parametrize("level", [*GOALS, *OBSTRUCTED])
def test_goal_stays_and_spawns_change(level: str) -> None:
    worlds = make_world(level)
    w = worlds[0]
    engine.begin(worlds, 0, 5)
    letters = letters_of(w)
    spawns = set()
    goal = (int(w["goal_row"]), int(w["goal_col"]))
    assert letters[goal] == "G"
    for restart in range(60):
        assert w["item_count"] == 1 and items_of(w)[0]["active"] and items_of(w)[0]["kind"] == s.GOAL
        assert tuple(items_of(w)[0]["cell"]) == goal == cell_of(w, items_of(w)[0]["pos"])
        cell = cell_of(w, w["players"][0]["pos"])
        assert letters[cell] == "P"
        assert goal in passable(w, cell, doors=True)
        spawns.add(cell)
        frame = int(w["frame"])
        assert touch(worlds, 0) == 10.0
        assert play(worlds) == 0.0  # the frame of the restart
        assert (
            w["frame"] == frame + 2 and w["map_frame"] == 1 and w["restarts"] == restart + 1
        )  # restarts cost no frame
        assert (letters_of(w) == letters).all()
    assert len(spawns) > min(15, 0.6 * (letters == "P").sum())
    assert w["total"] == 600.0


def test_goals_and_spawns_are_uniform() -> None:
    """Over episodes of one given maze: every goal cell, and every spawn cell that can reach it, equally often; yaw
    too.
    """
    text = "*******\n*GGPGG*\n*P*****\n*PPP*GP\n*******\n"
    worlds = make_world(GOALS[0], overrideEntityLayer=text)
    w = worlds[0]
    goals, near, far, yaws = Counter(), Counter(), Counter(), []
    for seed in range(3000):
        engine.begin(worlds, 0, seed)
        goal = (int(w["goal_row"]), int(w["goal_col"]))
        spawn = cell_of(w, w["players"][0]["pos"])
        goals[goal] += 1
        (far if goal == (3, 5) else near)[spawn] += 1
        yaws.append(float(w["players"][0]["yaw"]) / 65536 % 1)
    assert set(goals) == {(1, 1), (1, 2), (1, 4), (1, 5), (3, 5)}
    assert set(near) == {(1, 3), (2, 1), (3, 1), (3, 2), (3, 3)}
    assert set(far) == {(3, 6)}
    for counts in (goals, near):
        assert stats.chisquare(list(counts.values())).pvalue > 0.001
    assert stats.kstest(yaws, "uniform").pvalue > 0.001


def test_a_goal_that_cannot_be_reached_is_not_chosen() -> None:
    worlds = make_world(GOALS[0], overrideEntityLayer="G*PG")
    for seed in range(30):
        engine.begin(worlds, 0, seed)
        assert worlds[0]["goal_col"] == 3


@pytest.mark.parametrize("level", OBSTRUCTED)
def test_doors(level: str) -> None:
    """The goal can always be reached through open doors; those off the way are half open; they stay, and change at
    restarts.
    """
    worlds = make_world(level)
    w = worlds[0]
    patterns, shares, bounds = 0, [], []
    for seed in range(15):
        engine.begin(worlds, 0, seed)
        door = np.isin(w["cell"], (s.DOOR_H, s.DOOR_I))
        total = int(door.sum())
        goal = (int(w["goal_row"]), int(w["goal_col"]))
        seen = set()
        for _ in range(10):
            is_open = w["door_open"].astype(bool) & door
            assert (w["door_open"].astype(bool) == is_open).all()
            assert goal in passable(w, cell_of(w, w["players"][0]["pos"]), doors=False)
            # k doors on the way, then floor((total - k) / 2) of the others
            assert total // 2 <= is_open.sum() <= total
            shares.append(is_open.sum() / max(total, 1))
            bounds.append(total)
            seen.add(is_open.tobytes())
            play(worlds, IDLE, 30)
            assert (is_open == (w["door_open"].astype(bool) & door)).all()
            touch(worlds, 0)
            play(worlds)
        patterns += len(seen) > 1
    assert patterns >= 12
    assert 0.5 < np.mean(shares) < 0.95


def test_number_of_open_doors() -> None:
    """One way only: a corridor with two doors on it and three dead-end doors off it: 2 + floor(3 / 2) are open."""
    text = "*********\n*P I I G*\n*H*H*H***\n* * * ***\n*********\n"
    worlds = make_world(OBSTRUCTED[0], overrideEntityLayer=text)
    extras = Counter()
    for seed in range(600):
        engine.begin(worlds, 0, seed)
        door_open = worlds[0]["door_open"]
        assert door_open[1, 3] and door_open[1, 5]
        side = [bool(door_open[2, c]) for c in (1, 3, 5)]
        assert sum(side) == 1
        extras[side.index(True)] += 1
    assert stats.chisquare(list(extras.values())).pvalue > 0.001


def test_a_closed_door_stops_and_an_open_one_does_not() -> None:
    worlds = make_world(
        OBSTRUCTED[0], overrideEntityLayer="*****\n*PIG*\n*****", startPosition="150 150 25.125", startAngles="0 0"
    )
    engine.begin(worlds, 0, 0)
    assert play(worlds, native(forward=1), 60) == 10.0
    engine.begin(worlds, 0, 0)
    worlds[0]["door_open"][:] = 0
    assert play(worlds, native(forward=1), 60) == 0.0
    assert worlds[0]["players"][0]["pos"][0] < 250


@pytest.mark.parametrize("level", OBJECTS)
def test_apples_are_half_of_the_cells_and_return(level: str) -> None:
    worlds = make_world(level)
    w = worlds[0]
    for seed in range(12):
        engine.begin(worlds, 0, seed)
        letters = letters_of(w)
        places = {tuple(int(x) for x in item["cell"]) for item in items_of(w)}
        assert len(places) == w["item_count"] == (letters == "A").sum() // 2
        assert all(letters[place] == "A" for place in places)
        for cycle in range(2):
            for k in range(int(w["item_count"])):
                assert items_of(w)["active"].sum() == w["item_count"] - k
                assert w["restarts"] == cycle
                assert touch(worlds, k) == 1.0
                assert touch(worlds, k) == 0.0 or w["restarts"] > cycle
            if w["restarts"] == cycle:
                play(worlds)
            assert w["restarts"] == cycle + 1
            assert items_of(w)["active"].all()
            assert {tuple(int(x) for x in item["cell"]) for item in items_of(w)} == places
            assert letters[cell_of(w, w["players"][0]["pos"])] == "P"
    assert w["item_count"] == (18 if "large" in level else 8) or "small" in level


@pytest.mark.parametrize(("level", "categories", "good"), [(FEW, 4, 2), (MANY, 8, 4)])
def test_categories_keep_their_look_and_value(level: str, categories: int, good: int) -> None:
    worlds = make_world(level)
    w = worlds[0]
    engine.begin(worlds, 0, 3)
    letters = letters_of(w)
    looks: dict[tuple, float] = {}
    layouts = set()
    for restart in range(6):
        items = items_of(w).copy()
        assert len(items) == categories and items["active"].all()
        places = [tuple(int(x) for x in item["cell"]) for item in items]
        assert len(set(places)) == categories and all(letters[place] == "A" for place in places)
        layouts.add(tuple(places))
        assert letters[cell_of(w, w["players"][0]["pos"])] == "P"
        order = np.argsort(items["reward"])  # bad ones first: they do not end the map
        for k in order:
            assert w["restarts"] == restart
            look = (int(items[k]["look"]), int(items[k]["pattern"]), items[k]["color"].tobytes())
            reward = touch(worlds, int(k))
            assert reward in (2.0, -1.0)
            assert looks.setdefault(look, reward) == reward
        play(worlds)
        assert w["restarts"] == restart + 1
    assert len(looks) == categories and list(looks.values()).count(2.0) == good
    assert len(layouts) == 6


def test_good_ones_end_the_map_while_bad_ones_stay() -> None:
    worlds = make_world(FEW)
    engine.begin(worlds, 0, 1)
    good = [k for k in range(4) if worlds[0]["items"][k]["reward"] > 0]
    assert [touch(worlds, k) for k in good] == [2.0, 2.0]
    play(worlds)
    assert worlds[0]["restarts"] == 1 and worlds[0]["item_count"] == 4 and items_of(worlds[0])["active"].all()


def test_looks_cover_all_shapes_patterns_and_colour_pairs() -> None:
    worlds = make_world(MANY)
    shapes, patterns, pairs = Counter(), Counter(), set()
    palette = {tuple(int(x) for x in color) for color in PALETTE}
    for seed in range(400):
        engine.begin(worlds, 0, seed)
        seen = set()
        for item in items_of(worlds[0]):
            shapes[int(item["look"]) - s.SHAPES] += 1
            patterns[int(item["pattern"])] += 1
            a, b = (tuple(int(x) for x in color) for color in item["color"])
            assert a != b and {a, b} <= palette
            pairs.add((a, b))
            seen.add((int(item["look"]), int(item["pattern"]), a, b))
        assert len(seen) == 8
    assert set(shapes) == set(range(len(SHAPE_NAMES))) and set(patterns) == set(range(s.CHEQUERED, s.SWIRLS + 1))
    assert stats.chisquare(list(shapes.values())).pvalue > 0.001
    assert stats.chisquare(list(patterns.values())).pvalue > 0.001
    assert len(pairs) == 16 * 15


def test_pictures_and_textures() -> None:
    """A tenth of the wall faces have a picture, no picture twice; corridors always look alike; rooms vary between
    episodes.
    """
    worlds = make_world(GOALS[1])
    w = worlds[0]
    rooms = set()
    for seed in range(20):
        engine.begin(worlds, 0, seed)
        floor = np.pad(letters_of(w) != "*", 1)
        faces = 0
        for r, c in np.argwhere(floor):
            for side, (dr, dc) in enumerate(STEPS):
                if not floor[r + dr, c + dc]:
                    faces += 1
                else:
                    assert w["decal"][r - 1, c - 1, side] == 0
        pictures = w["decal"][w["decal"] > 0]
        assert len(pictures) == int(min(0.5 + 0.1 * faces, 80))
        assert len(set(pictures.tolist())) == len(pictures) and pictures.max() <= 80
        assert not w["decal"][: w["rows"], : w["cols"]][letters_of(w) == "*"].any()
        assert (w["wall_texture"][0], w["floor_texture"][0]) == (0, 0)
        assert w["wall_texture"].max() < 20 and w["floor_texture"].max() < 20
        rooms.add((int(w["wall_texture"][1]), int(w["floor_texture"][1])))
    assert len(rooms) > 15


@pytest.mark.parametrize("level", [*GOALS, *OBSTRUCTED, *OBJECTS, FEW, MANY])
def test_same_seed_same_episode(level: str) -> None:
    first, second, other = (make_world(level) for _ in range(3))
    for worlds, seed in ((first, 77), (second, 77), (other, 78)):
        engine.begin(worlds, 0, seed)
        for k in range(3):
            touch(worlds, k % int(worlds[0]["item_count"]))
            play(worlds, native(forward=1, right=3), 20)
    assert first.tobytes() == second.tobytes() != other.tobytes()


def test_a_restart_keeps_the_clock_and_the_reward() -> None:
    """In one agent step of four frames: touch, restart in the next frame, two frames of the new map."""
    worlds = make_world(GOALS[0])
    w = worlds[0]
    engine.begin(worlds, 0, 0)
    play(worlds, IDLE, 8)
    put_player(worlds, items_of(w)[0]["pos"])
    assert play(worlds, IDLE, 4) == 10.0
    assert w["frame"] == 12 and w["map_frame"] == 3 and w["running"]
    assert w["episode_frames"] == 5400
    play(worlds, IDLE, 5400)
    assert w["frame"] == 5400 and not w["running"]


def test_the_frame_of_a_restart() -> None:
    """As recorded: no move in that frame, the player 14 units up; on the floor and moving in the next."""
    worlds = make_world(GOALS[0])
    w = worlds[0]
    engine.begin(worlds, 0, 0)
    touch(worlds, 0)
    play(worlds, native(forward=1))
    start = w["players"][0]["pos"].copy()
    assert start[2] == 39.0 and (start[:2] % s.CELL == 50.0).all()
    play(worlds, native(forward=1))
    pos = w["players"][0]["pos"]
    assert pos[2] == 25.125 and 0.5 < np.hypot(*(pos - start)[:2]) < 1.1


def traces() -> list[Path]:
    """Recorded traces of explore levels with rewards."""
    folders = [
        Path(__file__).parents[2] / "parity" / "traces",
        Path(os.environ.get("FLEXLAM_DMLAB_RECORDINGS", "-")) / "traces",
    ]
    for folder in folders:
        found = [path for path in sorted(folder.glob("explore_*.npz")) if np.load(path)["reward"].any()]
        if found:
            return found
    return []


def test_recorded_rewards_come_in_the_same_frame() -> None:
    """Replay traces with the recorded apples and goals in place: every reward in its frame, none else."""
    paths = traces()
    if not paths:
        pytest.skip("no recorded traces: FLEXLAM_DMLAB_RECORDINGS names no folder with recordings of the real DMLab")
    compared = 0
    for path in paths:
        trace = np.load(path)
        rewarded = np.flatnonzero(trace["reward"])
        layout = str(trace["debug_maze_layout"])
        letters = np.array([list(line) for line in layout.splitlines()])
        letter = "A" if "object_locations" in path.name else "G"
        centres = np.array(
            [(c * 100 + 50, (len(letters) - 1 - r) * 100 + 50) for r, c in np.argwhere(letters == letter)]
        )
        worlds = make_world(path.name.split("-")[0], overrideEntityLayer=layout)
        engine.begin(worlds, 0, 0)
        w = worlds[0]
        template = w["items"][0].copy()
        taken = []
        for t in rewarded:  # the item is the nearest marker to where the reward came
            taken.append(centres[np.abs(centres - trace["debug_pos_trans"][t][:2]).sum(axis=1).argmin()])
        for k, place in enumerate(taken):
            w["items"][k] = template
            w["items"][k]["pos"] = (*place, ITEM_Z)
        w["item_count"] = len(taken)
        w["left"] = 1000
        for t in range(min(len(trace["reward"]), int(rewarded[-1]) + 1)):
            w["players"][0]["pos"] = trace["debug_pos_trans"][t]
            assert play(worlds) == trace["reward"][t], (path.name, t)
            compared += 1
    assert compared > 1000
