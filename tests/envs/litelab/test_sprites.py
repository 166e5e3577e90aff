"""Objects, opponents and effects: their shapes, sizes, places, colours, and what hides them."""

import itertools

import numpy as np
import pytest

from flexlam_rl.envs.litelab import models, patterns, shapes
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.look import load_look
from flexlam_rl.envs.litelab.render import draw

SIZE = 64
FOCAL = SIZE / 2  # pixels a unit of slope, 90 degrees wide
SOMETIME = 10_000  # engine ms at which no spawn ring is seen any more


@pytest.fixture(scope="module")
def look():
    return load_look()


def open_room(cells: int = 15) -> np.ndarray:
    """A world with one square room, its player in the middle looking north, nothing in it."""
    worlds = np.zeros(1, s.WORLD)
    w = worlds[0]
    w["family"], w["geometry"], w["rows"], w["cols"], w["player_count"] = s.EXPLORE, s.GRID, cells, cells, 1
    w["cell"][:cells, :cells] = s.WALL
    w["cell"][1 : cells - 1, 1 : cells - 1] = s.OPEN
    w["map_ms"] = SOMETIME
    w["players"][0]["alive"] = 1
    w["players"][0]["view_height"] = 26.0
    stand(w, 50.0 * cells, 50.0 * cells)
    return worlds


def stand(w: np.void, x: float, y: float, yaw: float = 90.0, pitch: float = 0.0) -> None:
    p = w["players"][0]
    p["pos"] = (x, y, 25.125)
    p["yaw"] = round(yaw * 65536 / 360)
    p["pitch"] = round(pitch * 65536 / 360)


def put(
    w: np.void,
    name: str,
    x: float,
    y: float,
    color=(255, 0, 0),
    second=(0, 0, 255),
    pattern: int = s.SOLID,
    scale: float = 1.0,
    bob: int = 0,
) -> np.void:
    """Add an object that stands on the floor (z = 1)."""
    it = w["items"][w["item_count"]]
    w["item_count"] += 1
    it["kind"], it["active"], it["look"], it["pattern"], it["scale"], it["bob"] = (
        s.REWARD,
        1,
        shapes.look_of(name),
        pattern,
        scale,
        bob,
    )
    it["pos"] = (x, y, 13.0 if bob == 0 else 16.125)
    it["color"] = (color, second)
    return it


def picture(worlds: np.ndarray, look, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    rgb = np.zeros((size, size, 3), np.uint8)
    depth = np.zeros((size, size), np.float32)
    draw(worlds, 0, look, rgb, depth, 0)
    return rgb, depth


def drawn(worlds: np.ndarray, look, size: int = SIZE) -> np.ndarray:
    """Which pixels the items change in depth, (size, size) bool."""
    _, depth = picture(worlds, look, size)
    active = worlds[0]["items"]["active"].copy()
    worlds[0]["items"]["active"] = 0
    _, empty = picture(worlds, look, size)
    worlds[0]["items"]["active"] = active
    return depth != empty


def silhouette(name: str, view: int) -> np.ndarray:
    """Mask of a model in a window of 120 x 120 units, one texel every 2 units."""
    atlas = shapes.build_atlas()
    number = shapes.look_of(name)
    half, low, high = atlas.box[number]
    x = np.arange(-59, 61, 2)
    z = np.arange(109, -11, -2)
    i = np.floor((x / half + 1) / 2 * shapes.SIZE).astype(int)
    j = np.floor((high - z) / (high - low) * shapes.SIZE).astype(int)
    inside = ((j >= 0) & (j < shapes.SIZE))[:, None] & ((i >= 0) & (i < shapes.SIZE))[None, :]
    texels = atlas.texels[number, view][j.clip(0, shapes.SIZE - 1)][:, i.clip(0, shapes.SIZE - 1)]
    return (texels & 255 > 0) & inside


def test_names_of_the_shapes_are_dmlabs():
    assert len(models.SHAPE_NAMES) == 40
    assert list(models.SHAPE_NAMES) == sorted(models.SHAPE_NAMES)
    assert shapes.look_of("apple2") == s.SHAPES
    assert shapes.look_of("zebra") == s.SHAPES + 39
    with pytest.raises(ValueError, match="'spade'"):
        shapes.look_of("spade")


def test_every_view_of_every_model_shows_something():
    atlas = shapes.build_atlas()
    used = [k for k in range(shapes.MODELS) if k <= s.LOOK_RAILGUN or k >= s.SHAPES]
    share = (atlas.texels[used] & 255 > 0).mean((2, 3))
    assert share.min() > 0.02
    # and fills its box: no view is drawn on a corner of its texels
    for k in used:
        seen = (atlas.texels[k] & 255 > 0).any(0)
        assert seen.any(1).sum() >= 0.8 * shapes.SIZE, k
        assert seen.any(0).sum() >= 0.8 * shapes.SIZE, k


def test_the_forty_shapes_differ():
    views = (0, 2, 4, 7)
    masks = {name: np.stack([silhouette(name, view) for view in views]) for name in models.SHAPE_NAMES}
    for a, b in itertools.combinations(models.SHAPE_NAMES, 2):
        differing = (masks[a] ^ masks[b]).sum()
        assert differing > 0.15 * (masks[a] | masks[b]).sum(), (a, b)


def test_atlas_is_the_same_each_time():
    first = shapes.build_atlas()
    again = shapes.build_atlas.__wrapped__()
    assert np.array_equal(first.texels, again.texels)
    assert np.array_equal(first.box, again.box)


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [("ladder", 95.0, 51.0), ("ball", 38.0, 38.0), ("tomato", 29.0, 35.0), ("cake", 41.0, 58.0)],
)
@pytest.mark.parametrize("distance", [120.0, 200.0, 320.0])
def test_size_in_pixels(look, name, height, width, distance):
    worlds = open_room()
    put(worlds[0], name, 750.0, 750.0 + distance)
    size = 256
    seen = drawn(worlds, look, size)
    scale = size / 2 / distance
    assert seen.any(1).sum() == pytest.approx(height * scale, abs=2.0 + 0.09 * height * scale)
    # shown from the front or the side, whichever is wider
    worlds[0]["map_ms"] = SOMETIME
    assert seen.any(0).sum() <= width * scale + 2.0
    bottom = np.where(seen.any(1))[0].max()
    assert bottom == pytest.approx(size / 2 + 50.0 * scale, abs=2.0 + 5.0 * scale)


@pytest.mark.parametrize("scale", [0.62, 1.0, 1.62])
def test_scale(look, scale):
    worlds = open_room()
    put(worlds[0], "ball", 750.0, 950.0, scale=scale)
    seen = drawn(worlds, look, 256)
    assert seen.any(0).sum() == pytest.approx(38.0 * scale * 128 / 200, abs=2.0)


@pytest.mark.parametrize("pitch", [-25.0, 0.0, 8.0, 30.0])
@pytest.mark.parametrize("yaw", [70.0, 90.0, 115.0])
def test_place_on_the_screen(look, pitch, yaw):
    worlds = open_room()
    stand(worlds[0], 750.0, 750.0, yaw, pitch)
    put(worlds[0], "ball", 750.0, 910.0)
    seen = drawn(worlds, look, 128)
    a, b = (
        np.radians(worlds[0]["players"][0]["yaw"] * 360 / 65536),
        np.radians(worlds[0]["players"][0]["pitch"] * 360 / 65536),
    )
    offset = np.array([0.0, 160.0, 1.0 + 19.0 - 51.125])
    forward = np.array([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), -np.sin(b)])
    right = np.array([np.sin(a), -np.cos(a), 0.0])
    up = np.cross(right, forward)
    x = 64 + 64 * (offset @ right) / (offset @ forward)
    y = 64 - 64 * (offset @ up) / (offset @ forward)
    rows, cols = np.where(seen)
    assert (cols.min() + cols.max() + 1) / 2 == pytest.approx(x, abs=1.5)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(y, abs=1.5)


def test_walls_hide_objects(look):
    worlds = open_room()
    w = worlds[0]
    put(w, "fridge", 750.0, 1150.0)
    assert drawn(worlds, look).any()
    w["cell"][15 - 1 - 9, 6:9] = s.WALL  # y 900 to 1000, x 600 to 900
    assert not drawn(worlds, look).any()
    w["cell"][15 - 1 - 9, 6] = s.OPEN
    stand(w, 630.0, 750.0, 70.0)
    assert drawn(worlds, look).any()


def test_nearer_objects_hide_farther_ones(look):
    worlds = open_room()
    put(worlds[0], "fridge", 750.0, 850.0, color=(0, 255, 0))
    put(worlds[0], "fridge", 750.0, 1000.0, color=(255, 0, 0))
    for order in (False, True):
        if order:
            worlds[0]["items"][:2] = worlds[0]["items"][1::-1].copy()
        rgb, _ = picture(worlds, look)
        assert rgb[36, 32, 1] > 100 and rgb[36, 32, 0] == 0


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 170, 0), (85, 85, 255), (170, 85, 0)])
def test_solid_objects_have_the_asked_colour(look, color):
    worlds = open_room()
    put(worlds[0], "pig", 750.0, 850.0, color=color)
    seen = drawn(worlds, look)
    rgb, _ = picture(worlds, look)
    pixels = rgb[seen & (np.arange(SIZE) != 32)[:, None]].astype(float)  # the crosshair lies in row 32
    brightest = pixels.max(0)
    assert np.abs(brightest - color).max() < 40
    strong = int(np.argmax(color))
    # one shade of the same colour everywhere
    assert np.abs(pixels / pixels[:, strong : strong + 1] * color[strong] - color).max() < 4.0
    assert pixels[:, strong].min() >= 0.45 * color[strong]


@pytest.mark.parametrize("pattern", range(1, patterns.PATTERNS))
def test_patterns_show_both_colours(look, pattern):
    worlds = open_room()
    put(worlds[0], "suitcase", 750.0, 820.0, (255, 0, 0), (0, 0, 255), pattern)
    worlds[0]["items"][0]["color"] = ((255, 0, 0), (0, 0, 255))
    seen = drawn(worlds, look, 128)
    rgb, _ = picture(worlds, look, 128)
    pixels = rgb[seen].astype(int)
    pixels = pixels[pixels[:, 1] == 0]
    first = pixels[:, 0] > 2 * pixels[:, 2]
    second = pixels[:, 2] > 2 * pixels[:, 0]
    assert first.mean() > 0.1 and second.mean() > 0.08


def test_patterns_differ_and_blend_with_distance(look):
    tiles = look.patterns
    start = [patterns.tile_start(level) for level in range(patterns.LEVELS)]
    for a, b in itertools.combinations(range(patterns.PATTERNS), 2):
        assert np.abs(tiles[a, : start[1]].astype(int) - tiles[b, : start[1]]).mean() > 30, (a, b)
    for k in range(patterns.PATTERNS):
        assert int(tiles[k, -1]) == pytest.approx(tiles[k, : start[1]].mean(), abs=3.0)


def track(look, name: str) -> tuple[list[float], list[float]]:
    """Lowest point and width of a bobbing object, every 64 ms for 2.6 s, in world units."""
    worlds = open_room()
    w = worlds[0]
    put(w, name, 750.0, 830.0, bob=1)
    lows, widths = [], []
    for ms in range(SOMETIME, SOMETIME + 2600, 64):
        w["map_ms"] = ms
        rows, cols = np.where(drawn(worlds, look, 256))
        lows.append(51.125 - (rows.max() + 1 - 128) / 128 * 80.0)
        widths.append((cols.max() - cols.min() + 1) / 128 * 80.0)
    return lows, widths


def test_objects_bob_and_spin(look):
    lows, _ = track(look, "tomato")
    assert max(lows) - min(lows) == pytest.approx(8.0, abs=1.5)
    assert min(lows) == pytest.approx(12.0, abs=2.5)
    _, widths = track(look, "shoe")
    assert max(widths) > 50.0 and min(widths) < 30.0
    # one turn in 1024 ms: the same width again after half a turn
    assert widths[0] == pytest.approx(widths[8], abs=4.0)


def with_bot(hue: float = 0.0, facing: float = 270.0) -> np.ndarray:
    worlds = open_room()
    w = worlds[0]
    w["family"] = s.LASERTAG
    w["player_count"] = 2
    w["bot_hue"] = hue
    p = w["players"][1]
    p["alive"], p["pos"], p["yaw"], p["view_height"] = 1, (750.0, 870.0, 25.125), round(facing * 65536 / 360), 26.0
    return worlds


def test_opponents_have_three_hues_and_a_front(look):
    front, _ = picture(with_bot(0.0, 270.0), look, 128)
    back, _ = picture(with_bot(0.0, 90.0), look, 128)
    assert (np.abs(front.astype(int) - back).max(2) > 40).sum() > 60
    side, depth = picture(with_bot(0.0, 180.0), look, 128)
    _, empty = picture(open_room(), look, 128)
    pixels = side[depth != empty].astype(int)
    main = np.bincount(pixels.argmax(1), minlength=3)
    assert main.min() > 20 and main.argmax() == 0  # hue 0 is red: the head; body green, gun and stripe blue
    shifted, _ = picture(with_bot(120.0, 180.0), look, 128)
    assert np.bincount(shifted[depth != empty].argmax(1), minlength=3).argmax() == 1


def test_crouching_and_dead_opponents(look):
    _, empty = picture(open_room(), look)
    worlds = with_bot()
    tall = np.where(picture(worlds, look)[1] != empty)[0].min()
    worlds[0]["players"][1]["crouched"] = 1
    assert np.where(picture(worlds, look)[1] != empty)[0].min() > tall + 2
    worlds[0]["players"][1]["alive"] = 0
    assert np.array_equal(picture(worlds, look)[1], empty)


def test_shadow_of_an_opponent_lies_on_the_floor(look):
    rgb, depth = picture(with_bot(), look)
    plain, empty = picture(open_room(), look)
    darker = (depth == empty) & (rgb.astype(int).sum(2) < 0.7 * plain.astype(int).sum(2))
    rows, cols = np.where(darker)
    assert len(rows) > 4
    assert rows.mean() == pytest.approx(32 + 32 * 50.0 / 120.0, abs=3.0)
    assert cols.mean() == pytest.approx(32.0, abs=2.0)


def test_spawn_rings_vanish(look):
    worlds = open_room()
    plain, _ = picture(worlds, look)
    worlds[0]["map_ms"] = 16
    assert (picture(worlds, look)[0] != plain).any(2).mean() > 0.03
    worlds[0]["map_ms"] = 300
    assert np.array_equal(picture(worlds, look)[0], plain)


@pytest.mark.parametrize("weapon", [s.MACHINEGUN, s.LIGHTNING, s.RAILGUN])
def test_shots_are_seen_while_they_flash(look, weapon):
    worlds = open_room()
    plain, empty = picture(worlds, look)
    p = worlds[0]["players"][0]
    p["weapon"], p["flash_ms"], p["shot_end"] = weapon, 50, (750.0, 1000.0, 51.0)
    rgb, depth = picture(worlds, look)
    changed = np.where((rgb != plain).any(2))
    assert len(changed[0]) > 3
    assert (rgb.astype(int) >= plain).all()  # light only adds
    assert np.array_equal(depth, empty)
    p["flash_ms"] = 0
    assert np.array_equal(picture(worlds, look)[0], plain)


def test_rockets_and_bursts_glow(look):
    worlds = with_bot()
    worlds[0]["players"][1]["alive"] = 0
    plain, _ = picture(worlds, look)
    m = worlds[0]["missiles"][0]
    m["pos"], m["vel"], m["active"] = (780.0, 900.0, 50.0), (0.0, 900.0, 0.0), 1
    assert (picture(worlds, look)[0] != plain).any()
    m["active"], m["burst_ms"] = 0, 200
    assert (picture(worlds, look)[0] != plain).any(2).sum() > 20
    m["burst_ms"] = 0
    assert np.array_equal(picture(worlds, look)[0], plain)
