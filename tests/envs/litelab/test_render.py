"""The renderer against geometry: hand-made mazes seen from known poses."""

import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.envs.litelab import hud as overlay
from flexlam_rl.envs.litelab import look as looks
from flexlam_rl.envs.litelab import render, shade
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.items import add_item

EYE = 51.125  # above the floor's z = 1 stands 50.125
FLOOR, TOP = 1.0, 100.0
ROOM = ["*******", "*     *", "* *   *", "*     *", "*   * *", "*     *", "*******"]
CORRIDOR = ["*********", "*       *", "*********"]


@pytest.fixture(scope="module")
def look() -> looks.Look:
    return looks.load_look()


def make(maze: list[str]) -> np.ndarray:
    """One world with a text maze, the player in the middle of the cell (row 1, column 1) looking east."""
    worlds = np.zeros(1, s.WORLD)
    w = worlds[0]
    w["family"], w["geometry"], w["episode_frames"], w["map_ms"] = s.EXPLORE, s.GRID, 5400, 100_000
    w["rows"], w["cols"] = len(maze), len(maze[0])
    kinds = {"*": s.WALL, "H": s.DOOR_H, "I": s.DOOR_I}
    for r, line in enumerate(maze):
        for c, x in enumerate(line):
            w["cell"][r, c] = kinds.get(x, s.OPEN)
    w["player_count"] = 1
    p = w["players"][0]
    p["alive"], p["health"], p["view_height"], p["weapon"] = 1, 100, 26.0, s.MACHINEGUN
    p["owned"][:2] = 1
    p["ammo"] = (-1, 100, 0, 0, 0)
    shade.prepare(w)
    stand(w, 150.0, 100.0 * (len(maze) - 2) + 50.0)
    return worlds


def stand(w: np.void, x: float, y: float, yaw: float = 0.0, pitch: float = 0.0) -> None:
    p = w["players"][0]
    p["pos"] = (x, y, EYE - 26.0)
    p["yaw"], p["pitch"] = (round(a * 65536 / 360) for a in (yaw, pitch))


def draw(
    worlds: np.ndarray, look: looks.Look, height: int = 64, width: int = 64, hud: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rgb, depth = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    render.draw(worlds, 0, look, rgb, depth, hud)
    return rgb, depth


def walls_of(w: np.void) -> list[tuple[int, float, float]]:
    """Faces of a maze: (axis of the normal, its coordinate, low end); walls stand one unit into the open cell."""
    faces = []
    rows, cols = int(w["rows"]), int(w["cols"])
    for r in range(rows):
        for c in range(cols):
            if w["cell"][r, c] == s.WALL:
                continue
            x, y = 100.0 * c, 100.0 * (rows - 1 - r)
            for dr, dc, axis, at, low in (
                (0, 1, 0, x + 99, y),
                (0, -1, 0, x + 1, y),
                (-1, 0, 1, y + 99, x),
                (1, 0, 1, y + 1, x),
            ):
                if w["cell"][r + dr, c + dc] == s.WALL:
                    faces.append((axis, at, low))
    return faces


def expected_depth(w: np.void, height: int, width: int) -> np.ndarray:
    """Depth of every pixel by intersecting its ray with each wall face and the floor: slow, and written without the
    renderer's tables.
    """
    p = w["players"][0]
    yaw, pitch = p["yaw"] * 2 * np.pi / 65536, p["pitch"] * 2 * np.pi / 65536
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    up = np.cross(right, forward)
    u = (2 * np.arange(width) + 1 - width) / width
    v = (height - 1 - 2 * np.arange(height)) / width
    ray = forward + u[None, :, None] * right + v[:, None, None] * up
    eye = np.array([p["pos"][0], p["pos"][1], p["pos"][2] + p["view_height"]])
    best = np.full((height, width), tx.SKY_DEPTH)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (FLOOR - eye[2]) / ray[..., 2]
        best = np.where((t > 0) & (t < best), t, best)
        for axis, at, low in walls_of(w):
            t = (at - eye[axis]) / ray[..., axis]
            along = eye[1 - axis] + t * ray[..., 1 - axis]
            z = eye[2] + t * ray[..., 2]
            best = np.where(
                (t > 0) & (t < best) & (along >= low) & (along <= low + 100) & (z >= FLOOR) & (z <= TOP), t, best
            )
    return best


@pytest.mark.parametrize("distance", [20.0, 49.0, 150.0, 649.0])
def test_wall_straight_ahead_fills_the_right_rows(look: looks.Look, distance: float) -> None:
    worlds = make(CORRIDOR)
    stand(worlds[0], 799.0 - distance, 150.0)
    _, depth = draw(worlds, look)
    rows = np.flatnonzero(np.abs(depth[:, 32] - distance) < 1e-3 * distance)
    v = (63 - 2 * np.arange(64)) / 64
    z = EYE + distance * v
    assert np.array_equal(rows, np.flatnonzero((z >= FLOOR) & (z <= TOP)))


def test_floor_and_sky_around_the_wall(look: looks.Look) -> None:
    worlds = make(CORRIDOR)
    _, depth = draw(worlds, look)
    middle = depth[:, 32]
    assert (middle[:25] == tx.SKY_DEPTH).all()
    v = (2 * np.arange(50, 64) - 63) / 64
    np.testing.assert_allclose(middle[50:], (EYE - FLOOR) / v, rtol=1e-5)
    assert np.array_equal(depth, depth[:, ::-1])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (72, 96), (120, 160), (64, 32)])
@pytest.mark.parametrize("pitch", [0.0, 4.2, -13.0, 30.0, -44.0, 61.0, -80.0, 87.9])
def test_depth_agrees_with_ray_by_ray_intersection(look: looks.Look, height: int, width: int, pitch: float) -> None:
    worlds = make(ROOM)
    wrong = []
    for x, y, yaw in ((150.0, 550.0, 33.0), (333.0, 340.0, 201.0), (520.0, 130.0, 100.0), (250.0, 250.0, -90.0)):
        stand(worlds[0], x, y, yaw, pitch)
        _, depth = draw(worlds, look, height, width)
        wanted = expected_depth(worlds[0], height, width)
        wrong.append(np.mean(np.abs(depth - wanted) > 2e-3 * wanted))
    # only pixels on a silhouette may fall on its other side, and those where walls stand a unit into an outer corner
    assert max(wrong) < 0.03
    assert np.mean(wrong) < 0.015


# pitches between which the table of rays changes its kind
@pytest.mark.parametrize("pitches", [(0, 1), (-1, 0), (6050, 6240), (-6240, -6050)])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (72, 96), (48, 128)])
def test_pictures_do_not_jump_between_tables(
    look: looks.Look, height: int, width: int, pitches: tuple[int, int]
) -> None:
    worlds = make(ROOM)
    worlds[0]["wall_texture"][0], worlds[0]["floor_texture"][0] = 9, 7
    shade.prepare(worlds[0])
    for x, y, yaw in ((150.0, 550.0, 33.0), (333.0, 340.0, 201.0), (520.0, 130.0, 100.0), (250.0, 250.0, -90.0)):
        seen = []
        for pitch in (pitches[0], (pitches[0] + pitches[1]) // 2, pitches[1]):
            stand(worlds[0], x, y, yaw)
            worlds[0]["players"][0]["pitch"] = pitch
            seen.append(draw(worlds, look, height, width)[1])
        changes = [(np.abs(a - b) > 0.1 * a).mean() for a, b in pairwise(seen)]
        assert max(changes) < 0.06


def test_horizon_moves_with_the_pitch(look: looks.Look) -> None:
    """Far down a corridor the wall's foot and top close in on the horizon, which stands at row 32 - 32 tan(pitch)."""
    worlds = make(["*" * 40, "*" + " " * 38 + "*", "*" * 40])
    for pitch in (-30.0, -10.0, 0.0, 10.0, 30.0):
        stand(worlds[0], 150.0, 150.0, 0.0, pitch)
        _, depth = draw(worlds, look)
        far = np.flatnonzero((depth[:, 32] > 2000) & (depth[:, 32] < tx.SKY_DEPTH))
        assert abs(far.mean() + 0.5 - (32 - 32 * np.tan(np.radians(pitch)))) < 1.5, pitch


@pytest.mark.parametrize(("kind", "yaw", "start"), [("I", 0.0, (150.0, 350.0)), ("H", -90.0, (350.0, 550.0))])
def test_closed_door_hides_and_open_door_leaves_a_lip(
    look: looks.Look, kind: str, yaw: float, start: tuple[float, float]
) -> None:
    maze = ["*******", "***   *", "*** ***", "*     *", "*** ***", "***   *", "*******"]
    row, col = (3, 2) if kind == "I" else (2, 3)
    maze[row] = maze[row][:col] + kind + maze[row][col + 1 :]
    worlds = make(maze)
    stand(worlds[0], *start, yaw)
    closed, depth = draw(worlds, look)
    # the slab stands in the middle of its cell and is two units thick
    np.testing.assert_allclose(depth[32, 28:36], 99.0, rtol=1e-4)
    assert closed[30:34, 20:44].max() < 80
    worlds[0]["door_open"][row, col] = 1
    _, opened = draw(worlds, look)
    assert (opened[32, 28:36] > 200).all()
    lip = np.flatnonzero(np.abs(opened[32] - 99.0) < 0.1)
    assert 1 <= len(lip) <= 6
    # it has slid north or east, which is to the left of either view
    assert lip.max() < 32


def test_items_hide_behind_walls_and_show_before_them(look: looks.Look) -> None:
    worlds = make(ROOM)
    stand(worlds[0], 150.0, 450.0)
    bare, _ = draw(worlds, look)
    item = add_item(worlds[0], s.REWARD, s.LOOK_APPLE, 350.0, 450.0, 40.0, 1)
    hidden, _ = draw(worlds, look)
    assert np.array_equal(bare, hidden)
    stand(worlds[0], 150.0, 350.0)
    worlds[0]["items"][item]["pos"] = (350.0, 350.0, 16.0)
    shown, _ = draw(worlds, look)
    worlds[0]["items"][item]["active"] = 0
    gone, _ = draw(worlds, look)
    changed = np.argwhere((shown != gone).any(-1))
    assert len(changed) >= 8
    assert np.abs(changed[:, 1].mean() - 31.5) < 3
    assert changed[:, 0].min() > 28


def test_picture_hangs_in_the_middle_of_its_wall(look: looks.Look) -> None:
    worlds = make(CORRIDOR)
    stand(worlds[0], 699.0, 150.0)
    bare, _ = draw(worlds, look)
    worlds[0]["decal"][1, 7, s.EAST] = 21
    hung, _ = draw(worlds, look)
    rows, cols = np.nonzero((bare != hung).any(-1))
    # at distance 100 a pixel is 100 / 32 units
    half = 0.5 * tx.PICTURE_WIDTH / (100.0 / 32.0)
    assert abs(cols.mean() - 31.5) < 0.6
    assert abs(rows.mean() + 0.5 - (32 + (EYE - tx.PICTURE_HEIGHT) / (100.0 / 32.0))) < 0.6
    assert abs((cols.max() - cols.min() + 1) - 2 * half) <= 1
    assert abs((rows.max() - rows.min() + 1) - 2 * half) <= 1


def test_floor_darkens_towards_walls(look: looks.Look) -> None:
    worlds = make(["*****", "*   *", "*   *", "*   *", "*****"])
    table = shade.floor_light().astype(int)
    open_cell, by_west = table[0], table[0b00010000]
    assert np.ptp(open_cell) == 0
    assert (np.diff(by_west[8]) >= 0).all()
    assert by_west[8, 0] < 0.85 * by_west[8, -1]
    assert worlds[0]["ground"][2, 2] >> 8 == 0
    assert worlds[0]["ground"][2, 1] >> 8 == 0b00111000
    assert worlds[0]["ground"][1, 2] >> 8 == 0b00001110


def test_hud_levels(look: looks.Look) -> None:
    worlds = make(ROOM)
    none, reduced, full = (draw(worlds, look, hud=k)[0] for k in range(3))
    at = np.argwhere((none != reduced).any(-1))
    assert len(at) > 10
    assert at[:, 0].min() >= 56
    assert at[:, 1].min() >= 28
    assert at[:, 1].max() <= 33
    assert (reduced[58:61, 30:32] == 255).all()
    changed = (none != full).any(-1)
    assert changed[57:, 2:29].mean() > 0.3
    assert changed[54:57, 60:].all()
    assert changed[:3, 57:].any()
    assert not changed[4:49].any()


def test_hud_shows_ammunition_health_score_and_clock(look: looks.Look) -> None:
    worlds = make(ROOM)
    w, p = worlds[0], worlds[0]["players"][0]

    def changed(part: np.void, field: str, value: object) -> np.ndarray:
        before, _ = draw(worlds, look, 480, 640, 2)
        kept = part[field].copy() if isinstance(part[field], np.ndarray) else part[field]
        part[field] = value
        after, _ = draw(worlds, look, 480, 640, 2)
        part[field] = kept
        return np.argwhere((before != after).any(-1))

    for part, field, value, (top, left, bottom, right) in (
        (p, "ammo", (-1, 63, 0, 0, 0), (432, 0, 480, 97)),
        (p, "health", 47, (432, 185, 480, 282)),
        (p, "armor", 50, (430, 370, 480, 510)),
        (w, "total", 8.0, (404, 600, 428, 640)),
        (w, "frame", 1000, (0, 580, 20, 640)),
    ):
        at = changed(part, field, value)
        assert len(at) > 10, field
        assert (at >= (top, left)).all(), field
        assert (at < (bottom, right)).all(), field


def test_digits_are_the_digits() -> None:
    """Each digit's ink differs from all others' and one has the least."""
    ink = list(overlay.INK[:10])
    assert len({x.tobytes() for x in ink}) == 10
    assert min(range(10), key=lambda n: ink[n].sum()) == 1
    assert max(range(10), key=lambda n: ink[n].sum()) == 8


@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 64), (64, 8), (180, 320), (256, 256)])
def test_any_size_stays_inside_its_arrays(look: looks.Look, height: int, width: int) -> None:
    worlds = make(ROOM)
    rng = np.random.default_rng(0)
    canvas = np.full((height + 2, width, 3), 77, np.uint8)
    depths = np.full((height + 2, width), -1.0, np.float32)
    for _ in range(12):
        stand(
            worlds[0],
            *(rng.uniform(116, 184, 2) + 100 * rng.integers(0, 2, 2) * (0, 0)),
            rng.uniform(0, 360),
            rng.uniform(-87.9, 87.9),
        )
        render.draw(worlds, 0, look, canvas[1:-1], depths[1:-1], 2)
        assert (canvas[0] == 77).all()
        assert (canvas[-1] == 77).all()
        assert np.isfinite(depths).all()
        assert (depths[1:-1] > 0).all()
        assert (depths[0] == -1).all()
        assert (depths[-1] == -1).all()


def test_sky_stands_still_while_the_player_walks(look: looks.Look) -> None:
    """Towers move by the angle that 13000 units away a step of 400 makes: less than two degrees, but not zero."""
    worlds = make(["*********", *["*       *"] * 7, "*********"])
    pictures = []
    for y in (250.0, 650.0):
        stand(worlds[0], 450.0, y, 180.0, -25.0)
        pictures.append(draw(worlds, look, 256, 256)[0][100:130].astype(int))
    errors = [np.abs(pictures[0][:, 20:-20] - np.roll(pictures[1], k, 1)[:, 20:-20]).mean() for k in range(-8, 9)]
    shift = int(np.argmin(errors)) - 8
    # the player stepped to the right, so the towers went to the left
    assert 2 <= shift <= 6


def test_drawing_has_no_memory(look: looks.Look) -> None:
    worlds = make(ROOM)
    first, depth = draw(worlds, look, hud=2)
    stand(worlds[0], 350.0, 350.0, 77.0, 31.0)
    draw(worlds, look, hud=2)
    stand(worlds[0], 150.0, 550.0)
    again, depth_again = draw(worlds, look, hud=2)
    assert np.array_equal(first, again)
    assert np.array_equal(depth, depth_again)


def test_procedural_look_is_the_same_everywhere(look: looks.Look) -> None:
    """A changed number here means a changed look: datasets and checkpoints record the look by name only."""
    sums = {
        name: zlib.crc32(np.ascontiguousarray(getattr(look, name)).tobytes()) for name in ("atlas", "pictures", "sky")
    }
    assert look.atlas.shape == (tx.TEXTURES, tx.TEXELS)
    assert look.pictures.shape == (tx.PICTURES, tx.PICTURE_TEXELS)
    assert look.sky.shape == (tx.SKIES, 5, tx.SKY_SIZE, tx.SKY_SIZE)
    code = (
        "import zlib, numpy as np; from flexlam_rl.envs.litelab.look import load_look; k = load_look()\n"
        "print({n: zlib.crc32(np.ascontiguousarray(getattr(k, n)).tobytes()) for n in ('atlas', 'pictures', 'sky')})"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(sums)


def test_all_styles_and_pictures_differ(look: looks.Look) -> None:
    for rows in (look.atlas[:20], look.atlas[20:40], look.pictures):
        assert len({row.tobytes() for row in rows}) == len(rows)


def test_unknown_and_missing_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="Unknown textures 'quake'; expected one of procedural, labmaze"):
        looks.load_look("quake")
    looks.load_look.cache_clear()
    monkeypatch.setitem(sys.modules, "labmaze.assets", None)
    with pytest.raises(ImportError, match="labmaze"):
        looks.load_look("labmaze")


def test_original_textures() -> None:
    pytest.importorskip("labmaze")
    pytest.importorskip("PIL")
    original, ours = looks.load_look("labmaze"), looks.load_look()
    assert original.atlas.shape == ours.atlas.shape
    assert not np.array_equal(original.atlas[:40], ours.atlas[:40])
    assert np.array_equal(original.pictures, ours.pictures)
    # the mean colour of our walls and floors is that of the originals; labmaze's first floor in blue is not the one
    # that DMLab shows
    last = tx.TEXELS - 16
    means = [np.stack([(k.atlas[:40, last:] >> (8 * c) & 255).mean(1) for c in range(3)], -1) for k in (original, ours)]
    differ = np.abs(means[0] - means[1]).max(1)
    differ[[tx.FLOORS + 2, tx.FLOORS + 3]] = 0
    assert differ.max() < 16
