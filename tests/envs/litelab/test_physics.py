"""Movement and collision: the constants of reference A0, single situations, and that no actions ever lead out of a
map.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flexlam_rl.envs import litelab
from flexlam_rl.envs.litelab import clock, collide, engine, physics, pose, settings, terrain
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import rooms_geometry
from flexlam_rl.envs.litelab.levels.table import LEVELS

HALL = "***************\n" + ("*" + " " * 13 + "*\n") * 3 + "***************\n"
HULL = (collide.HALF, collide.BOTTOM, physics.HULL_TOP)


@kernel
def _play(worlds, actions, log):
    w = worlds[0]
    p = w.players[0]
    for t in range(actions.shape[0]):
        w.dt_ms = clock.frame_ms(w)
        physics.move(w, p, actions[t, 0], actions[t, 1], actions[t, 2], actions[t, 3], actions[t, 5], actions[t, 6])
        for k in range(3):
            log[t, k] = p.pos[k]
            log[t, 3 + k] = p.vel[k]


@kernel
def _trace(worlds, a, b, half, bottom, top):
    return collide.trace(worlds[0], a[0], a[1], a[2], b[0], b[1], b[2], half, bottom, top)


@kernel
def _ray(worlds, a, d, far):
    return collide.ray_hit(worlds[0], a[0], a[1], a[2], d[0], d[1], d[2], far)


@kernel
def _sight(worlds, a, b):
    return collide.line_of_sight(worlds[0], a[0], a[1], a[2], b[0], b[1], b[2])


@kernel
def _boxes(worlds, boxes):
    w = worlds[0]
    rooms_geometry.clear(w)
    for k in range(boxes.shape[0]):
        rooms_geometry._box(w, boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3], boxes[k, 4], boxes[k, 5])


@kernel
def _place(worlds, x, y, z, yaw):
    pose.place(worlds[0], worlds[0].players[0], x, y, z, yaw)
    clock.start_clock(worlds[0], 0)


@kernel
def _ticks(worlds, frames, out):
    for t in range(frames):
        out[t] = clock.frame_ms(worlds[0])


@kernel
def _terrain(worlds, seed):
    worlds[0].terrain_seed = seed
    terrain.build(worlds[0])
    rooms_geometry.natlab_border(worlds[0])


@kernel
def _ground(worlds, x, y):
    return terrain.height(worlds[0], x, y)


def maze(text):
    """A world with a text maze; doors closed."""
    worlds = np.zeros(1, s.WORLD)
    lines = text.strip("\n").split("\n")
    w = worlds[0]
    w["geometry"], w["rows"], w["cols"] = s.GRID, len(lines), len(lines[0])
    kinds = {"*": s.WALL, "H": s.DOOR_H, "I": s.DOOR_I}
    for i, row in enumerate(lines):
        for j, letter in enumerate(row):
            w["cell"][i, j] = kinds.get(letter, s.OPEN)
    return worlds


def boxes(*corners):
    """A world of boxes (x0, y0, z0, x1, y1, z1) with a floor whose top is at 0."""
    worlds = np.zeros(1, s.WORLD)
    worlds[0]["geometry"] = s.POLYGONS
    _boxes(worlds, np.array([(-1000, -1000, -50, 1000, 1000, 0), *corners], float))
    return worlds


def play(worlds, frames, right=0, down=0, strafe=0, forward=0, jump=0, crouch=0):
    """Play one action; returns (frames, 6): position and velocity after each."""
    log = np.zeros((frames, 6))
    _play(worlds, np.tile(np.array([right, down, strafe, forward, 0, jump, crouch]), (frames, 1)), log)
    return log


def test_ramp_from_rest_is_the_recorded_one():
    worlds = maze(HALL)
    _place(worlds, 150.0, 250.0, 25.125, 0)
    log = play(worlds, 40, forward=1)
    # recorded at an oblique angle, where each of two components is rounded
    np.testing.assert_allclose(log[:5, 3], [45, 89, 134, 168, 205], atol=1)
    assert log[-1, 3] == 320 and not log[:, 4:].any()


def test_friction_stops_a_run():
    worlds = maze(HALL)
    _place(worlds, 150.0, 250.0, 25.125, 0)
    play(worlds, 40, forward=1)
    speeds = play(worlds, 30)[:, 3]
    assert (np.diff(speeds) <= 0).all() and speeds[0] > 280
    assert np.flatnonzero(speeds == 0)[0] in range(20, 25)


@pytest.mark.parametrize(
    "forward, strafe, angle", [(1, 0, 0), (-1, 0, 180), (0, 1, -90), (0, -1, 90), (1, 1, -45), (-1, -1, 135)]
)
def test_directions_share_one_speed(forward, strafe, angle):
    worlds = maze("*" * 31 + "\n" + ("*" + " " * 29 + "*\n") * 29 + "*" * 31)
    _place(worlds, 1550.0, 1550.0, 25.125, 0)
    vx, vy, vz = play(worlds, 40, forward=forward, strafe=strafe)[-1, 3:]
    assert np.hypot(vx, vy) == pytest.approx(320, abs=1.0) and vz == 0
    assert np.degrees(np.arctan2(vy, vx)) % 360 == pytest.approx(angle % 360, abs=0.3)


def test_jump_height_and_release():
    worlds = maze(HALL)
    _place(worlds, 150.0, 250.0, 25.125, 0)
    up = play(worlds, 60, jump=1)
    assert 44.5 < up[:, 2].max() - 25.125 < 45.7
    assert not up[50:, 5].any(), "a held button must not jump again"
    play(worlds, 1)
    assert play(worlds, 2, jump=1)[-1, 5] > 200


def test_crouch_is_low_and_slow_and_needs_room_to_end():
    worlds = boxes((100, -200, 48, 300, 200, 80))
    p = worlds[0]["players"][0]
    _place(worlds, 0.0, 0.0, 24.125, 0)
    assert play(worlds, 60, forward=1)[-1, 0] == pytest.approx(100 - 15.125, abs=0.01), "too low to walk under"
    log = play(worlds, 120, forward=1, crouch=1)
    assert log[-1, 3] == pytest.approx(80, abs=1) and log[-1, 0] > 120
    assert p["crouched"] == 1 and p["view_height"] == 12
    play(worlds, 10)
    assert p["crouched"] == 1, "no room to stand"
    play(worlds, 160, forward=-1)
    assert p["crouched"] == 0 and p["view_height"] == 26 and p["pos"][0] < 85


@pytest.mark.parametrize("height, passes", [(8, True), (17.5, True), (19, False)])
def test_steps(height, passes):
    worlds = boxes((100, -200, 0, 300, 200, height))
    _place(worlds, 0.0, 0.0, 24.125, 0)
    x, _, z = play(worlds, 60, forward=1)[-1, :3]
    if passes:
        assert x > 150 and z == pytest.approx(24.125 + height, abs=0.13)
    else:
        assert x == pytest.approx(84.875, abs=0.01) and z == pytest.approx(24.125, abs=0.13)


def test_wall_stops_and_lets_slide():
    worlds = maze(HALL)
    _place(worlds, 250.0, 250.0, 25.125, 65536 // 8)
    log = play(worlds, 60, forward=1)
    assert log[-1, 1] == pytest.approx(400 - 1 - 15.125, abs=0.01)
    assert log[-1, 3] > 200 and abs(log[-1, 4]) <= 1


def test_turning():
    worlds = maze(HALL)
    p = worlds[0]["players"][0]
    _place(worlds, 250.0, 250.0, 25.125, 0)
    play(worlds, 60, right=57)
    assert p["yaw"] * 360 / 65536 == pytest.approx(-361.15 + 360, abs=0.01)
    assert p["spin"][1] == pytest.approx(-57 * 0.1056 / 0.016, abs=0.5)
    play(worlds, 60, down=100)
    assert p["pitch"] == 16000
    play(worlds, 120, down=-100)
    assert p["pitch"] == -16000 and p["spin"][0] == 0


def test_doors():
    worlds = maze("*****\n*   *\n**H**\n*   *\n*****\n*I  *\n*****")
    w = worlds[0]
    _place(worlds, 250.0, 550.0, 25.125, -16384)
    assert play(worlds, 60, forward=1)[-1, 1] == pytest.approx(450 + 1 + 15.125, abs=0.01)
    assert not _sight(worlds, np.array([250.0, 550.0, 50.0]), np.array([250.0, 350.0, 50.0]))
    w["door_open"][2, 2] = 1
    assert play(worlds, 60, forward=1)[-1, 1] < 330
    assert _sight(worlds, np.array([250.0, 550.0, 50.0]), np.array([250.0, 350.0, 50.0]))
    # the open leaf has gone 92 units east and stands 6 units out of the wall
    f, nx, _, _, _ = _trace(worlds, np.array([240.0, 450.0, 25.125]), np.array([300.0, 450.0, 25.125]), *HULL)
    assert nx == -1 and 240 + 60 * f == pytest.approx(293 - 15.125, abs=1e-6)
    # a door crossed east-west
    f, nx, _, _, _ = _trace(worlds, np.array([220.0, 150.0, 25.125]), np.array([160.0, 150.0, 25.125]), *HULL)
    assert nx == 1 and 220 - 60 * f == pytest.approx(151 + 15.125, abs=1e-6)


def test_corner_of_two_walls_is_hollow():
    """Where two faces of a solid cell meet outwards, neither reaches round the corner."""
    worlds = maze("*****\n*   *\n* * *\n*   *\n*****")
    point = (0.0, 0.0, 0.0)
    f, nx, ny, _, _ = _trace(worlds, np.array([210.0, 310.0, 50.0]), np.array([190.0, 290.0, 50.0]), *point)
    assert f < 1 and (nx, ny) in ((-1, 0), (0, 1))
    f, *_ = _trace(worlds, np.array([180.0, 300.5, 50.0]), np.array([199.5, 300.5, 50.0]), *point)
    assert f == 1, "beside the upper left corner, a unit out"


def test_rays_meet_what_traces_meet():
    """A ray's length agrees with the sweep of a box without size, in a random maze."""
    rng = np.random.default_rng(0)
    worlds = maze("***********\n*   H   * *\n* *** * I *\n*   *   * *\n***H*** * *\n*       * *\n***********")
    worlds[0]["door_open"][4, 3] = 1
    free = np.argwhere(worlds[0]["cell"][:7, :11] == s.OPEN)
    for _ in range(2000):
        row, col = free[rng.integers(len(free))]
        start = np.array([col * 100 + rng.uniform(5, 95), (6 - row) * 100 + rng.uniform(5, 95), rng.uniform(5, 95)])
        d = rng.normal(size=3) * (1, 1, 0.2)
        d /= np.linalg.norm(d)
        far = _ray(worlds, start, d, 3000.0)
        f, nx, ny, nz, solid = _trace(worlds, start, start + 3000 * d, 0.0, 0.0, 0.0)
        assert solid == collide.CLEAR
        # the sweep ends an eighth of a unit before the plane, and does not fill the hollow corners of one unit
        facing = max(1e-3, -(d @ (nx, ny, nz)))
        if f < 1 and facing > 0.2:
            assert far == pytest.approx(3000 * f + collide.EPSILON / facing, abs=1.5 / facing)


def test_frame_lengths_repeat_and_average_16():
    worlds = np.zeros(1, s.WORLD)
    _place(worlds, 0.0, 0.0, 0.0, 0)
    out = np.zeros(900, np.int64)
    _ticks(worlds, 900, out)
    assert "".join({14: "a", 17: "b"}[v] for v in out[:24]) == "abbabbbbbbbbabbbbbbbbaab"
    np.testing.assert_array_equal(out[300:600], out[375:675])
    assert out[300:375].sum() == 75 * 16


def test_restart_shows_the_new_place_before_anything_moves():
    worlds = np.zeros(1, s.WORLD)
    w = worlds[0]
    settings.fill_world(w, settings.parse("contributed/dmlab30/explore_goal_locations_small", {}, "litelab"))
    engine.begin(worlds, 0, np.uint64(3))
    forward = np.array([0, 0, 0, 1, 0, 0, 0])
    engine.advance(worlds, 0, forward, 20)
    w["map_over"] = 1
    engine.advance(worlds, 0, forward, 1)
    p = w["players"][0]
    assert (w["restarts"], w["map_frame"], w["frame"]) == (1, 1, 21)
    assert (p["pos"][:2] % 100 == 50).all() and p["pos"][2] == 39 and not p["vel"].any()
    engine.advance(worlds, 0, forward, 1)
    assert p["pos"][2] == 25.125 and np.hypot(*p["vel"][:2]) == pytest.approx(54, abs=1)


def begin_at(position):
    worlds = np.zeros(1, s.WORLD)
    given_start = {"startPosition": position, "overrideEntityLayer": "*****\n*P G*\n*****"}
    settings.fill_world(
        worlds[0], settings.parse("contributed/dmlab30/explore_goal_locations_small", given_start, "litelab")
    )
    engine.begin(worlds, 0, np.uint64(0))
    return worlds[0]


def test_given_start():
    w = begin_at("120.5 150 25.125")
    assert w["start_blocked"] == 0
    np.testing.assert_array_equal(w["players"][0]["pos"], [120.5, 150, 25.125])
    # feet a little too low come to stand, walls are refused
    assert begin_at("150 150 25")["players"][0]["pos"][2] == 25.125
    assert begin_at("110 150 25.125")["start_blocked"] == 1
    lab = litelab.Lab("contributed/dmlab30/explore_goal_locations_small", [], config={"startPosition": "-5 3 25.125"})
    with pytest.raises(ValueError, match=r"startPosition is -5 3 25\.125, which is inside a wall"):
        lab.reset(seed=1)


def test_terrain_carries():
    worlds = np.zeros(1, s.WORLD)
    worlds[0]["geometry"] = s.TERRAIN
    rng = np.random.default_rng(1)
    p = worlds[0]["players"][0]
    for seed in range(4):
        _terrain(worlds, np.uint64(seed * 977 + 5))
        heights = worlds[0]["terrain_height"]
        assert np.isfinite(heights).all() and 60 < np.ptp(heights) < 420
        x, y = rng.uniform(200, 1800, 2)
        _place(worlds, x, y, _ground(worlds, x, y) + 40.0, 0)
        for _ in range(60):
            log = play(worlds, 12, right=int(rng.integers(-60, 61)), forward=1, jump=int(rng.integers(2)))
            above = log[-1, 2] - 24 - _ground(worlds, log[-1, 0], log[-1, 1])
            assert -0.01 < above < 200
            assert 15 <= log[-1, 0] <= 2033 and 15 <= log[-1, 1] <= 2033
        start = p["pos"] + (0, 0, 200)
        assert _ray(worlds, start, np.array([0.0, 0.0, -1.0]), 1000.0) == pytest.approx(
            start[2] - _ground(worlds, *start[:2]), abs=0.1
        )


EXTREME_LOOK = st.sampled_from((-512, -243, -60, -1, 0, 1, 60, 243, 512)) | st.integers(-512, 512)
BUTTON = st.integers(0, 1)
ACTION = st.tuples(
    EXTREME_LOOK, EXTREME_LOOK, st.integers(-1, 1), st.integers(-1, 1), BUTTON, BUTTON, BUTTON, st.integers(1, 60)
)


def solid_at(worlds, p):
    top = physics.DUCK_TOP if p["crouched"] else physics.HULL_TOP
    here = np.array(p["pos"])
    return _trace(worlds, here, here, collide.HALF, collide.BOTTOM, top)[4] != collide.CLEAR


@pytest.mark.parametrize("level", sorted(LEVELS))
@given(seed=st.integers(0, 2**31 - 1), actions=st.lists(ACTION, min_size=1, max_size=30))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_actions_leave_the_map(level, seed, actions):
    worlds = np.zeros(1, s.WORLD)
    w = worlds[0]
    settings.fill_world(w, settings.parse(LEVELS[level].path, {}, "litelab"))
    engine.begin(worlds, 0, np.uint64(seed))
    for *action, hold in actions:
        engine.advance(worlds, 0, np.array(action), hold)
        for k in range(w["player_count"]):
            p = w["players"][k]
            values = np.concatenate([p["pos"], p["vel"], p["spin"], p["look_rest"]])
            assert np.isfinite(values).all()
            assert np.abs(p["vel"]).max() < 3000
            assert -16000 <= p["pitch"] <= 16000 and -32768 <= p["yaw"] < 32768
            if p["alive"]:
                assert inside(w, p), f"player {k} at {p['pos']}"
                assert not solid_at(worlds, p), f"player {k} stands in a wall at {p['pos']}"


def inside(w, p):
    """Whether a player is within the bounds of its map."""
    x, y, z = p["pos"]
    if w["geometry"] == s.GRID:
        col, row = int(x // 100), int(w["rows"] - 1 - y // 100)
        return 0 <= row < w["rows"] and 0 <= col < w["cols"] and w["cell"][row, col] != s.WALL and z > 20
    if w["geometry"] == s.TERRAIN:
        return 15 <= x <= 2033 and 15 <= y <= 2033 and -400 < z < 1000
    if w["family"] == s.PSYCHLAB:
        return (x, y) == (0, -32) and z > 90
    if w["family"] == s.DEFERRED:
        return -257 <= x <= 1049 and abs(y) <= 257 and 20 < z < 70
    return np.hypot(x, y) < 775 and z > 35
