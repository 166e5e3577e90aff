"""What holds in every level with a text maze, for any seed: where players and items are, and that nothing leaves the
floor.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlam_rl.envs.litelab import engine
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels.table import LEVELS
from tests.envs.litelab.worlds import DREAMER15, make_world

GRID_LEVELS = [name for name, spec in LEVELS.items() if spec.geometry == s.GRID]
WORLDS = {}


def world_of(level: str) -> np.ndarray:
    """One world a level, reused: an episode must not depend on those before it."""
    if level not in WORLDS:
        WORLDS[level] = make_world(level)
    return WORLDS[level]


def cell_at(w: np.void, x: float, y: float) -> tuple[int, int]:
    """Row and column of a place, which must be inside the maze."""
    row, col = int(w["rows"]) - 1 - int(np.floor(y / s.CELL)), int(np.floor(x / s.CELL))
    assert 0 <= row < w["rows"] and 0 <= col < w["cols"], (x, y)
    return row, col


def check_world(w: np.void) -> None:
    """Living players on the floor of open cells, items in the middle of open cells of their own."""
    for player in w["players"][: w["player_count"]]:
        if player["alive"]:
            assert np.isfinite(player["pos"]).all() and np.isfinite(player["vel"]).all()
            assert w["cell"][cell_at(w, *player["pos"][:2])] != s.WALL
            assert 24.0 <= player["pos"][2] <= 100.0
            assert abs(int(player["pitch"])) <= 16000
    cells = set()
    for item in w["items"][: w["item_count"]]:
        row, col = cell_at(w, *item["pos"][:2])
        assert (row, col) == tuple(item["cell"]) and w["cell"][row, col] == s.OPEN
        assert (item["pos"][:2] % s.CELL == 50.0).all() and 1.0 < item["pos"][2] < 40.0
        cells.add((row, col))
    assert len(cells) == w["item_count"] <= s.MAX_ITEMS


@pytest.mark.parametrize("level", GRID_LEVELS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63 - 1))
def test_starts(level: str, seed: int) -> None:
    worlds = world_of(level)
    engine.begin(worlds, 0, seed)
    w = worlds[0]
    check_world(w)
    player = w["players"][0]
    row, col = cell_at(w, *player["pos"][:2])
    assert w["letter"][row, col] == ord("P") and (player["pos"][:2] % s.CELL == 50.0).all()
    assert not player["vel"].any() and player["pitch"] == 0 and -32768 <= player["yaw"] < 32768
    assert w["running"] and w["frame"] == w["map_frame"] == w["restarts"] == 0 and w["total"] == 0
    assert (w["door_open"] <= 1).all()


@pytest.mark.parametrize("level", GRID_LEVELS)
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    moves=st.lists(st.tuples(st.integers(0, 14), st.integers(1, 40)), min_size=5, max_size=40),
)
def test_play(level: str, seed: int, moves: list[tuple[int, int]]) -> None:
    worlds = world_of(level)
    engine.begin(worlds, 0, seed)
    w = worlds[0]
    for action, frames in moves:
        frame = int(w["frame"])
        reward = engine.advance(worlds, 0, DREAMER15.table[action], frames)
        assert np.isfinite(reward) and reward == round(reward)
        assert w["frame"] == frame + frames
        check_world(w)


@pytest.mark.parametrize("level", GRID_LEVELS)
def test_an_episode_does_not_depend_on_the_one_before(level: str) -> None:
    used, fresh = make_world(level), make_world(level)
    engine.begin(used, 0, 1)
    for k in range(50):
        engine.advance(used, 0, DREAMER15.table[k % 15], 4)
    for worlds in (used, fresh):
        engine.begin(worlds, 0, 2)
    for k in range(100):
        for worlds in (used, fresh):
            engine.advance(worlds, 0, DREAMER15.table[k * 7 % 15], 4)
        a, b = used[0], fresh[0]
        assert a["total"] == b["total"] and a["rng"] == b["rng"]
        for name in ("letter", "variation", "cell", "door_open", "decal", "wall_texture", "floor_texture"):
            rows, cols = int(b["rows"]), int(b["cols"])
            x, y = (world[name] if world[name].ndim == 1 else world[name][:rows, :cols] for world in (a, b))
            assert (x == y).all(), name
        n = int(b["player_count"])
        assert (a["players"][:n]["pos"] == b["players"][:n]["pos"]).all()
        assert (a["players"][:n]["yaw"] == b["players"][:n]["yaw"]).all()
        n = int(b["item_count"])
        assert a["item_count"] == n and (a["items"][:n]["active"] == b["items"][:n]["active"]).all()
