"""natlab_varying_map_regrowth: maps, mushrooms, regrowth."""

import numpy as np
import pytest
from worlds import IDLE, episode_trace, make_world, native, play, random_return, rollout

from flexlam_rl.envs.litelab import engine, terrain
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels import natlab

LEVEL = "natlab_varying_map_regrowth"


@pytest.fixture(scope="module")
def maps():
    """Mushrooms and sky of all 100 maps."""
    world = make_world(LEVEL)
    found = []
    for number in range(natlab.MAPS):
        natlab.draw_map(world[0], number)
        w = world[0]
        found.append((w["items"][: w["item_count"]].copy(), int(w["sky"])))
    return found


def nearest(items):
    xy = items["pos"][:, :2]
    d = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    np.fill_diagonal(d, np.inf)
    return d.min(1)


def test_numbers_of_mushrooms(maps):
    count = [len(items) for items, _ in maps]
    assert min(count) >= 5 and max(count) <= 27
    assert np.mean(count) == pytest.approx(17.7, abs=1.0)


def test_mushrooms_grow_in_clusters(maps):
    near = np.concatenate([nearest(items) for items, _ in maps])
    assert near.min() >= 32
    assert np.median(near) == pytest.approx(232, abs=40)


def test_mushrooms_stand_on_the_ground_and_wait_about_a_minute(maps):
    world = make_world(LEVEL)
    for number in (0, 50, 99):
        natlab.draw_map(world[0], number)
        for it in world[0]["items"][: world[0]["item_count"]]:
            assert 0 < it["pos"][0] < 2048 and 0 < it["pos"][1] < 2048
            assert it["pos"][2] == pytest.approx(
                terrain.height(world[0], it["pos"][0], it["pos"][1]) + natlab.MUSHROOM_ABOVE
            )
    waits = np.concatenate([items["wait_ms"] for items, _ in maps])
    assert waits.min() >= 48000 and waits.max() <= 72000 and waits.mean() == pytest.approx(60000, abs=1000)
    assert all((items["reward"] == 1).all() and (items["look"] == s.LOOK_MUSHROOM).all() for items, _ in maps)


def test_plants_stand_apart_from_mushrooms_and_spawns_and_are_solid():
    world = make_world(LEVEL)
    w = world[0]
    for seed in range(20):
        engine.begin(world, 0, seed)
        plants = w["plants"][: w["plant_count"]]
        assert len(plants) >= 45 and set(plants["kind"]) == {s.ROCK, s.BUSH, s.CACTUS}
        points = [it["pos"][:2] for it in w["items"][: w["item_count"]]]
        points += [natlab.spawn_point(w, k) for k in range(natlab.spawn_points(w))]
        for plant in plants:
            away = np.hypot(*(np.array(points) - plant["pos"][:2]).T).min()
            assert away >= natlab.PLANT_APART + plant["radius"] - 1e-3
        trunk = plants[plants["kind"] == s.CACTUS][0]
        x, y, z = trunk["pos"]
        p = w["players"][0]
        p["pos"] = (x - 100, y, max(z, terrain.height(w, x - 100, y)) + 26)
        p["yaw"] = p["pitch"] = 0
        p["vel"] = 0
        away = []
        for _ in range(60):
            play(world, native(forward=1))
            away.append(np.abs(p["pos"][:2] - (x, y)).max())
        # nearest at a corner: the diagonal side of the trunk against the corner of the hull
        assert min(away) >= 0.99 * (trunk["radius"] / np.sqrt(2) + 15)


def test_skies(maps):
    count = np.bincount([sky for _, sky in maps], minlength=3)
    assert np.abs(count - np.array([9, 6, 4]) * 100 / 19).max() < 15


def test_every_episode_draws_one_of_the_maps(maps):
    world = make_world(LEVEL)
    drawn = {}
    for seed in range(300):
        engine.begin(world, 0, seed)
        w = world[0]
        number = int(w["variant"])
        items = w["items"][: w["item_count"]]
        assert (items["pos"] == maps[number][0]["pos"]).all() and (items["wait_ms"] == maps[number][0]["wait_ms"]).all()
        drawn.setdefault(number, []).append(tuple(w["players"][0]["pos"][:2]))
    assert len(drawn) > 85
    for number, spots in drawn.items():
        natlab.draw_map(world[0], number)
        points = [natlab.spawn_point(world[0], k) for k in range(natlab.spawn_points(world[0]))]
        assert len(points) in (9, 10) and set(spots) <= set(points)


def test_regrowth():
    world = make_world(LEVEL, episodeLengthSeconds="3600")
    engine.begin(world, 0, 1)
    w = world[0]
    p, it = w["players"][0], w["items"][0]
    waits = []
    for _ in range(20):
        p["pos"] = it["pos"] + (0, 0, 12.125)
        p["vel"] = 0
        assert play(world) == 1 and it["active"] == 0
        start = int(w["map_ms"])
        x, y = natlab.spawn_point(w, 0)
        p["pos"] = (x, y, terrain.height(w, x, y) + 30)
        while not it["active"]:
            play(world)
        waits.append((int(w["map_ms"]) - start) / it["wait_ms"])
    assert min(waits) >= 1 and max(waits) <= 1.51 and np.std(waits) > 0.05


def test_random_policy_scores_like_the_recorded_one():
    worlds = make_world(LEVEL)
    returns = [random_return(worlds, seed) for seed in range(40)]
    assert 1.0 < np.mean(returns) < 5.0  # recorded 2.7, published 3.0


def test_two_minutes():
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, 1)
    play(worlds, IDLE, 7200)
    assert worlds[0]["frame"] == 7200 and worlds[0]["running"] == 0 and worlds[0]["episode_over"] == 0


def test_same_seed_same_episode():
    assert episode_trace(LEVEL, 8, 200) == episode_trace(LEVEL, 8, 200)
    assert episode_trace(LEVEL, 8, 200) != episode_trace(LEVEL, 9, 200)


@pytest.mark.parametrize("seed", [101, 103])
def test_recorded_walks_fit_the_field(seed):
    real = rollout(LEVEL, seed)
    assert real["position"][:, :2].min() >= 15.1 and real["position"][:, :2].max() <= natlab.SIZE - 15.1
    assert set(real["reward"]) <= {0.0, 1.0}
