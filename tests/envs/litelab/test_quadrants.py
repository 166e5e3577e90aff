"""litelab's own level: mazes of corridors that reach everywhere, each quarter with a look of its own, nothing to find."""

import numpy as np
import pytest

from flexlam_rl.envs.litelab import engine
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.settings import parse
from tests.envs.litelab.worlds import make_world, native, play

LEVEL = "maze_quadrants"


def reached(cell: np.ndarray, start: tuple[int, int]) -> set[tuple[int, int]]:
    found, todo = {start}, [start]
    while todo:
        r, c = todo.pop()
        for one in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
            if cell[one] != s.WALL and one not in found:
                found.add(one)
                todo.append(one)
    return found


def test_mazes_of_seven_cells_reach_everywhere_and_their_quarters_differ() -> None:
    w, shapes, looks, splits, loops = make_world(LEVEL), set(), set(), set(), []
    for seed in range(60):
        engine.begin(w, 0, seed)
        cell, letter = w["cell"][0, :7, :7], w["letter"][0, :7, :7]
        assert (w["rows"][0], w["cols"][0], w["item_count"][0]) == (7, 7, 0)
        edge = np.concatenate([cell[0], cell[-1], cell[:, 0], cell[:, -1]])
        assert (edge == s.WALL).all() and (cell[2:5:2, 2:5:2] == s.WALL).all()
        spawns = {(int(r), int(c)) for r, c in np.argwhere(letter == ord("P"))}
        assert spawns == {(r, c) for r in (1, 3, 5) for c in (1, 3, 5)}
        assert spawns <= reached(cell, (1, 1)) and len(reached(cell, (1, 1))) == (cell != s.WALL).sum()
        variation = w["variation"][0, :7, :7]
        for values, part in ((variation[:, 0], 2), (variation[0], 1)):  # two bands, the first of 3 or 4 cells
            assert len(set(values.tolist())) == 2
            splits.add((part, int((values == 1).sum())))
        assert set(variation.flatten().tolist()) == {1, 2, 3, 4}
        for kind in ("wall_texture", "floor_texture"):
            assert len(set(w[kind][0, 1:5].tolist())) == 4
        shapes.add(cell.tobytes())
        looks.add(w["wall_texture"][0, 1:5].tobytes())
        loops.append(int((cell != s.WALL).sum()) - 9 - 8)  # passages beyond those of a tree
    assert len(shapes) > 30 and len(looks) > 55 and splits == {(1, 3), (1, 4), (2, 3), (2, 4)}
    assert 0.6 < np.mean(loops) < 1.4  # a quarter of the four others


def test_three_actions_turn_by_twenty_degrees_and_walk_and_an_episode_has_300_steps() -> None:
    w = make_world(LEVEL)
    engine.begin(w, 0, 5)
    yaw = int(w["players"][0, 0]["yaw"])
    play(w, native(right=-38), 5)
    turned = (int(w["players"][0, 0]["yaw"]) - yaw) * 360 / 65536 % 360
    assert turned == pytest.approx(20.0, abs=0.1)
    steps = 1
    while w["running"][0]:
        assert play(w, native(forward=1), 5) == 0
        steps += 1
    assert steps == 300 and w["restarts"][0] == 0


def test_its_parameters_are_size_and_loops() -> None:
    w = make_world(LEVEL, mazeWidth="11", extraConnectionProbability="0")
    engine.begin(w, 0, 1)
    assert (w["cell"][0, :7, :11] != s.WALL).sum() == 2 * 15 - 1
    with pytest.raises(ValueError, match="mazeWidth is 8"):
        make_world(LEVEL, mazeWidth="8")
    with pytest.raises(RuntimeError, match='Invalid setting: "roomCount"'):
        make_world(LEVEL, roomCount="3")
    with pytest.raises(RuntimeError, match="Level not found"):
        parse("contributed/dmlab30/" + LEVEL, {}, "litelab")  # DeepMind Lab has none of that name
    given = make_world(LEVEL, overrideEntityLayer="****\n*P *\n****")
    engine.begin(given, 0, 1)
    assert (given["cell"][0, :3, :4] != s.WALL).sum() == 2
