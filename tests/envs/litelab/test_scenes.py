"""The views of psychlab, natlab, the water maze and the deferred-effects rooms."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from worlds import make_world

from flexlam_rl.envs.litelab import dome, engine, render_natlab, terrain
from flexlam_rl.envs.litelab import render_psychlab as view
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures_rooms as rooms
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import deferred, psychlab
from flexlam_rl.envs.litelab.levels.rooms_geometry import deferred_rooms, raise_platform, water_maze
from flexlam_rl.envs.litelab.look import load_look
from flexlam_rl.envs.litelab.render import draw

SHAPE_COLORS = ((255, 0, 191), (255, 191, 0), (0, 255, 255), (0, 63, 255), (127, 0, 255))


@pytest.fixture(scope="module")
def look():
    return load_look()


def started(level: str, seed: int = 3) -> np.ndarray:
    """A world of a level at rest, without spawn rings."""
    worlds = make_world(level)
    engine.begin(worlds, 0, seed)
    worlds[0]["map_ms"] = 10_000
    worlds[0]["item_count"] = 0
    p = worlds[0]["players"][0]
    p["alive"], p["view_height"], p["flash_ms"] = 1, 26.0, 0
    return worlds


def stand(worlds: np.ndarray, position: tuple[float, float, float], pitch: float, yaw: float) -> None:
    p = worlds[0]["players"][0]
    p["pos"] = position
    p["pitch"] = round(pitch * 65536 / 360)
    p["yaw"] = round(yaw * 65536 / 360)


def picture(worlds: np.ndarray, look, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rgb = np.zeros((size, size, 3), np.uint8)
    depth = np.zeros((size, size), np.float32)
    draw(worlds, 0, look, rgb, depth, 0)
    assert np.isfinite(depth).all() and depth.min() > 0.0
    return rgb, depth


# psychlab


@kernel
def gaze_of(worlds, i):
    return psychlab.gaze(worlds[i])


def look_at(worlds: np.ndarray, u: float, v: float) -> None:
    """Turn the player so that its gaze meets a point of the screen."""
    dx = psychlab.SCREEN_LEFT + u * psychlab.SCREEN_SIZE
    dy = psychlab.SCREEN_Y + 32.0
    dz = psychlab.SCREEN_TOP - v * psychlab.SCREEN_SIZE - 122.125
    stand(worlds, psychlab.START, -np.degrees(np.arctan2(dz, np.hypot(dx, dy))), np.degrees(np.arctan2(dy, dx)))


def seen_at(worlds: np.ndarray, look, u: float, v: float) -> tuple[int, int, int]:
    """Colour of the four middle pixels when looking at a point; the crosshair is left out by a large picture."""
    look_at(worlds, u, v)
    x, y = gaze_of(worlds, 0)
    assert (x, y) == pytest.approx((u, v), abs=2e-3)
    rgb, _ = picture(worlds, look, 512)
    # the crosshair covers the middle: look four pixels below it, and turn up by as much
    worlds[0]["players"][0]["pitch"] -= round(np.degrees(np.arctan(24 / 256)) * 65536 / 360)
    rgb, _ = picture(worlds, look, 512)
    return tuple(int(c) for c in rgb[256 + 24, 256])


@pytest.mark.parametrize(
    ("u", "v", "color"),
    [
        (0.5, 0.5, (255, 0, 0)), (0.46, 0.5, (255, 0, 0)), (0.5, 0.54, (255, 0, 0)), (0.46, 0.46, (255, 255, 255)), (0.2, 0.3, (255, 255, 255)),
        (0.5, 0.44, (255, 255, 255)), (0.4, 0.95, (255, 255, 255)),
    ],
)  # fmt: skip
def test_fixation_cross(look, u, v, color):
    worlds = started("psychlab_visual_search")
    worlds[0]["psy_phase"] = psychlab.FIXATION
    assert seen_at(worlds, look, u, v) == color


def test_search_array(look):
    worlds = started("psychlab_visual_search")
    w = worlds[0]
    w["psy_phase"], w["psy_present"], w["psy_hover"] = psychlab.SEARCH, 1, psychlab.NOWHERE
    w["psy_items"][:] = -1
    places = {(0, 0): (0, 0), (6, 6): (2, 3), (3, 1): (7, 2), (2, 5): (6, 4)}
    for cell, item in places.items():
        w["psy_items"][cell] = item
    bits = {0: ("###", ".#.", ".#."), 2: ("#..", "#..", "###"), 7: ("##.", ".#.", ".##"), 6: (".##", ".#.", "##.")}
    for (row, col), (shape, color) in places.items():
        for j in range(3):
            for i in range(3):
                u = (59 + 56 * col + 14 * i + 7) / 512
                v = (59 + 56 * row + 14 * j + 7) / 512
                expected = SHAPE_COLORS[color] if bits[shape][j][i] == "#" else (255, 255, 255)
                assert seen_at(worlds, look, u, v) == expected, (shape, i, j)


@pytest.mark.parametrize("present", [0, 1])
def test_buttons(look, present):
    worlds = started("psychlab_visual_search")
    w = worlds[0]
    w["psy_phase"], w["psy_present"], w["psy_hover"] = psychlab.SEARCH, present, psychlab.NOWHERE
    w["psy_items"][:] = -1
    absent, there = (0.4, 0.95), (0.6, 0.95)
    assert seen_at(worlds, look, *absent) == (0, 0, 0)
    assert seen_at(worlds, look, *there) == (0, 0, 0)
    right, wrong = (100, 255, 100), (255, 100, 100)
    w["psy_hover"] = psychlab.ON_ABSENT
    assert seen_at(worlds, look, *absent) == (wrong if present else right)
    assert seen_at(worlds, look, *there) == (0, 0, 0)
    w["psy_hover"] = psychlab.ON_PRESENT
    assert seen_at(worlds, look, *there) == (right if present else wrong)
    assert seen_at(worlds, look, *absent) == (0, 0, 0)
    assert seen_at(worlds, look, 0.5, 0.95) == (255, 255, 255)


def test_screen_point_agrees_with_the_gaze():
    worlds = started("psychlab_visual_search")
    for u, v in ((0.02, 0.03), (0.5, 0.97), (0.98, 0.5)):
        look_at(worlds, u, v)
        p = worlds[0]["players"][0]
        a, b = p["yaw"] * np.pi / 32768, p["pitch"] * np.pi / 32768
        on, x, y, far = view.screen_point(0.0, -32.0, 122.125, np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), -np.sin(b))
        assert on and far > 85.0
        assert (x, y) == pytest.approx(gaze_of(worlds, 0), abs=1e-9)
    assert not view.screen_point(0.0, -32.0, 122.125, 0.0, -1.0, 0.0)[0]


def test_pillar_and_dome(look):
    worlds = started("psychlab_visual_search")
    stand(worlds, psychlab.START, 60.0, -90.0)
    rgb, depth = picture(worlds, look)
    # straight below stands the pillar's grey top, 50 units under the eye
    below = rgb[62, 20:44].astype(int)
    assert (below.max(1) - below.min(1)).max() < 12
    stand(worlds, psychlab.START, 87.0, -90.0)
    _, depth = picture(worlds, look)
    assert depth[32, 32] == pytest.approx(50.125, abs=0.5)
    stand(worlds, psychlab.START, -30.0, -90.0)
    rgb, depth = picture(worlds, look)
    assert (depth == view.FAR).all()
    assert (rgb[10, :, 2] > rgb[10, :, 0]).mean() > 0.9
    assert dome.build_dome().cube.shape == (6, dome.FACE, dome.FACE)


# natlab


def flat_field() -> np.ndarray:
    worlds = started("natlab_varying_map_regrowth")
    worlds[0]["terrain_height"][:] = 10.0
    worlds[0]["plant_count"] = 0
    stand(worlds, (1024.0, 1024.0, 34.0), 0.0, 90.0)
    return worlds


@pytest.mark.parametrize("pitch", [0.0, 5.0, -12.0, 35.0])
def test_natlab_horizon_and_depth(look, pitch):
    worlds = flat_field()
    stand(worlds, (1024.0, 1024.0, 34.0), pitch, 90.0)
    _, depth = picture(worlds, look, 128)
    b = np.radians(worlds[0]["players"][0]["pitch"] * 360 / 65536)
    v = (127 - 2 * np.arange(128)) / 128
    dz = v * np.cos(b) - np.sin(b)
    flat = np.cos(b) + v * np.sin(b)
    far = np.where(dz < 0, 50.0 / np.maximum(-dz, 1e-9), 1e9)
    reach = far * flat
    ground = (dz < 0) & (reach < 980.0)
    middle = depth[:, 64].astype(float)
    assert np.abs(middle[ground] / far[ground] - 1.0).max() < 0.02
    assert (middle[(dz > 0.01) | (reach > 1080.0)] == render_natlab.SKY_DEPTH).all()


def test_natlab_hills_hide_what_is_behind(look):
    worlds = flat_field()
    rows = slice(40, 44)  # a dam across the view, 280 units north
    worlds[0]["terrain_height"][rows, :] = 100.0
    _, depth = picture(worlds, look)
    column = depth[:, 32]
    crest = np.where(column < render_natlab.SKY_DEPTH)[0].min()
    assert column[crest] == pytest.approx(40 * terrain.SPACING - 1024.0, abs=40.0)
    assert crest == pytest.approx(32 - 32 * 40.0 / 256.0, abs=1.5)


def test_natlab_skies_differ(look):
    worlds = flat_field()
    tops = []
    for sky in range(3):
        worlds[0]["sky"] = sky
        rgb, _ = picture(worlds, look)
        tops.append(rgb[4].mean(0))
        tops.append(rgb[60].mean(0))
    night, day, dawn = tops[0], tops[2], tops[4]
    assert day.sum() > 2 * night.sum() and dawn[0] > night[0]
    assert tops[3].sum() > 2 * tops[1].sum()


def test_natlab_plants_stand_on_the_ground(look):
    worlds = flat_field()
    w = worlds[0]
    _, empty = picture(worlds, look, 128)
    for kind in (s.ROCK, s.BUSH, s.CACTUS):
        w["plant_count"] = 1
        q = w["plants"][0]
        q["kind"], q["pos"], q["radius"], q["height"], q["turn"] = kind, (1024.0, 1224.0, 10.0), 20.0, 120.0, 3.0
        _, depth = picture(worlds, look, 128)
        rows, cols = np.where(depth != empty)
        assert cols.mean() == pytest.approx(64.0, abs=8.0)
        assert rows.min() == pytest.approx(64 - 64 * 70.0 / 200.0, abs=5.0), kind
        assert rows.max() >= 64 + 64 * 50.0 / 200.0 - 3.0


# Water maze and deferred effects


@kernel
def build_pool(worlds, i):
    water_maze(worlds[i])


@kernel
def raise_in(worlds, i, top):
    raise_platform(worlds[i], top)


@kernel
def build_rooms(worlds, i, two, door_open):
    deferred_rooms(worlds[i], two, door_open)


@pytest.mark.parametrize("number", range(8))
def test_each_picture_hangs_at_its_side_of_the_pool(look, number):
    worlds = started("rooms_watermaze")
    worlds[0]["platform_up"] = 0
    angle = 45.0 * number
    x, y = 500.0 * np.cos(np.radians(angle)), 500.0 * np.sin(np.radians(angle))
    stand(worlds, (x, y, 40.125), 0.0, angle)
    rgb, _ = picture(worlds, look, 256)
    # in the window of the picture the asked colour prevails beside the light shape
    window = rgb[84:150, 92:180].reshape(-1, 3).astype(int)
    near = np.abs(window - rooms.PICTURE_COLORS[number]).max(1) < 40
    light = np.abs(window - rooms.PICTURE_LIGHT).max(1) < 40
    assert near.mean() > 0.3
    assert 0.04 < light.mean() < 0.5


def test_pool_walls_surround_and_water_reflects_no_holes(look):
    worlds = started("rooms_watermaze")
    for yaw in range(0, 360, 30):
        stand(worlds, (100.0, -50.0, 40.125), 0.0, yaw)
        rgb, depth = picture(worlds, look)
        assert depth[33].max() < 900.0  # a wall or the water, all around
        assert np.abs(rgb[2, 2].astype(int) - (150, 224, 255)).max() < 6


def test_platform_shows_only_when_it_stands(look):
    worlds = started("rooms_watermaze")
    w = worlds[0]
    w["platform"] = (0.0, 0.0)
    w["platform_up"] = 0
    build_pool(worlds, 0)
    stand(worlds, (-250.0, 0.0, 40.125), 0.0, 0.0)
    plain, _ = picture(worlds, look)
    raise_in(worlds, 0, 94.0)
    assert np.array_equal(picture(worlds, look)[0], plain)
    w["platform_up"] = 1
    rgb, depth = picture(worlds, look)
    rows, cols = np.where((rgb != plain).any(2))
    assert depth[rows, cols].min() == pytest.approx(186.0, abs=3.0)
    assert cols.mean() == pytest.approx(31.5, abs=0.6)
    assert rows.min() == pytest.approx(32 - 32 * 28.0 / 186.0, abs=2.0)


def test_bright_and_dark_floor(look):
    worlds = started("rooms_exploit_deferred_effects_train")
    build_rooms(worlds, 0, True, True)
    stand(worlds, (0.0, 0.0, 24.125), 0.0, 180.0)
    tones = []
    for bright in (0.0, 1.0):
        worlds[0]["bright"] = bright
        rgb, _ = picture(worlds, look)
        tones.append(rgb[48:].mean())
    assert tones[0] < 0.4 * tones[1]
    assert 30.0 < tones[1] < 75.0


def test_closed_door_hides_the_other_room(look):
    worlds = started("rooms_exploit_deferred_effects_train")
    stand(worlds, (200.0, 0.0, 24.125), 0.0, 0.0)
    build_rooms(worlds, 0, True, True)
    worlds[0]["variant"] = deferred.DOOR_OPEN
    _, depth = picture(worlds, look)
    assert depth[32, 32] == pytest.approx(1064.0 - 200.0, abs=2.0)
    build_rooms(worlds, 0, True, False)
    _, depth = picture(worlds, look)
    assert depth[32, 32] == pytest.approx(336.0 - 200.0, abs=1.0)


# Likeness


@pytest.mark.parametrize(
    ("level", "most"),
    [("psychlab_visual_search", 16.0), ("rooms_watermaze", 17.0), ("rooms_exploit_deferred_effects_train", 25.0)],
)
def test_frames_resemble_the_recorded_ones(look, level, most):
    """Mean difference of colours at recorded poses, HUD rows left out; a black picture differs by 60 to 150."""
    parquet = pytest.importorskip("pyarrow.parquet")
    image = pytest.importorskip("PIL.Image")
    folder = os.environ.get("FLEXLAM_DMLAB_RECORDINGS")
    if not folder:
        pytest.skip("FLEXLAM_DMLAB_RECORDINGS names no folder with recordings of the real DMLab")
    table = parquet.read_table(
        Path(folder) / "rollouts" / f"{level}-103.parquet", columns=["observation", "position", "rotation"]
    )
    worlds = started(level)
    w = worlds[0]
    w["psy_phase"] = psychlab.FIXATION
    w["platform_up"] = 0
    w["bright"] = 1.0
    if level == "rooms_exploit_deferred_effects_train":
        build_rooms(worlds, 0, True, True)
    differences, black = [], []
    for row in table.slice(60, 500).to_pylist()[::10]:
        real = np.asarray(image.open(BytesIO(row["observation"]["bytes"])).convert("RGB"), float)
        stand(worlds, tuple(row["position"]), row["rotation"][0], row["rotation"][1])
        rgb, _ = picture(worlds, look)
        differences.append(np.abs(rgb - real)[4:52].mean())
        black.append(real[4:52].mean())
    assert np.mean(black) > 3 * most
    assert np.median(differences) < most
