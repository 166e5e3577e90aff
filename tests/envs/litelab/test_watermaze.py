"""rooms_watermaze: spawns, hidden platform, rewards, restart."""

import numpy as np
import pytest
from worlds import DREAMER15, IDLE, episode_trace, make_world, native, play, random_return, rollout

from flexlam_rl.envs.litelab import engine
from flexlam_rl.envs.litelab.levels import watermaze
from flexlam_rl.envs.litelab.levels.rooms_geometry import PLATFORM_APOTHEM

LEVEL = "rooms_watermaze"


def begin(seed=1):
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, seed)
    return worlds


def find(worlds):
    """Put the player on the platform."""
    p = worlds[0]["players"][0]
    p["pos"][:2] = worlds[0]["platform"] + (70.0, 0.0)
    p["pos"][2] = watermaze.START_Z


def test_platform_is_uniform_over_a_disc_and_spawns_are_eight_points():
    worlds = make_world(LEVEL)
    spots, spawns = [], set()
    for seed in range(1000):
        engine.begin(worlds, 0, seed)
        spots.append(worlds[0]["platform"].copy())
        spawns.add(tuple(worlds[0]["players"][0]["pos"][:2]))
    r = np.hypot(*np.array(spots).T)
    assert r.max() <= 580
    assert np.mean(r < 580 * np.sqrt(0.5)) == pytest.approx(0.5, abs=0.06)
    assert np.abs(np.mean(spots, axis=0)).max() < 40
    assert spawns == set(watermaze.SPAWNS)


def test_a_find_pays_five_times_one_then_restarts_with_the_same_platform():
    worlds = begin()
    platform = worlds[0]["platform"].copy()
    find(worlds)
    rewards, frames = [], []
    while worlds[0]["restarts"] == 0:
        rewards.append(play(worlds))
        frames.append(int(worlds[0]["map_frame"]))
        assert len(rewards) < 400
    at = np.flatnonzero(rewards)
    assert [rewards[k] for k in at] == [1.0] * 5
    assert (np.abs(np.diff(at) - 62.5) <= 1).all()  # an engine second each
    assert abs(len(rewards) - at[-1] - 63) <= 2
    assert worlds[0]["map_frame"] == 1 and worlds[0]["frame"] == len(rewards)
    assert (worlds[0]["platform"] == platform).all() and worlds[0]["platform_up"] == 0
    assert tuple(worlds[0]["players"][0]["pos"][:2]) in watermaze.SPAWNS
    assert worlds[0]["total"] == 5


def test_the_finder_is_held_at_the_centre_and_lifted():
    worlds = begin(2)
    find(worlds)
    p = worlds[0]["players"][0]
    play(worlds, native(forward=1), 40)
    for _ in range(200):
        play(worlds, native(forward=1, right=3))
        assert np.hypot(*(p["pos"][:2] - worlds[0]["platform"])) < 20
    assert p["pos"][2] == pytest.approx(118.125, abs=0.3)


def test_next_to_the_platform_nothing_happens():
    worlds = begin(3)
    p = worlds[0]["players"][0]
    p["pos"][:2] = worlds[0]["platform"] + (PLATFORM_APOTHEM + watermaze.HULL + 1.0, 0.0)
    assert play(worlds, IDLE, 400) == 0 and worlds[0]["platform_up"] == 0


def test_episode_lasts_two_minutes_whatever_is_found():
    worlds = begin(4)
    while worlds[0]["running"]:
        if worlds[0]["map_frame"] == 10:
            find(worlds)
        play(worlds)
    assert worlds[0]["frame"] == 7200 and worlds[0]["episode_over"] == 0
    assert worlds[0]["restarts"] == 21
    assert 105 <= worlds[0]["total"] <= 110


def test_random_policy_scores_like_the_recorded_one():
    worlds = make_world(LEVEL)
    returns = [random_return(worlds, seed) for seed in range(40)]
    assert np.mean(returns) < 8.0  # recorded 0.5, published 4.1
    assert all(r % 1 == 0 for r in returns)


def test_same_seed_same_episode():
    assert episode_trace(LEVEL, 8, 200) == episode_trace(LEVEL, 8, 200)
    assert episode_trace(LEVEL, 8, 200) != episode_trace(LEVEL, 9, 200)


@pytest.mark.parametrize(
    "touch, rewards, restart", [(24, (28, 44, 60, 75, 91), 107), (290, (295, 311, 326, 342, 358), 373)]
)
def test_recorded_finds(touch, rewards, restart):
    """Two finds of one recording, replayed from shortly before the touch: rewards and restart come in the recorded
    steps.
    """
    real = rollout(LEVEL, 101)
    centre = real["position"][107][:2]
    worlds = begin(5)
    worlds[0]["platform"] = centre
    p = worlds[0]["players"][0]
    p["pos"] = real["position"][touch]
    p["vel"][:2] = (real["position"][touch] - real["position"][touch - 1])[:2] / 0.064
    pitch, yaw, _ = real["rotation"][touch]
    p["pitch"], p["yaw"] = round(pitch * 65536 / 360), round(yaw * 65536 / 360)
    got = []
    for t in range(touch, restart + 3):
        restarts = int(worlds[0]["restarts"])
        if play(worlds, DREAMER15.table[real["action"][t]], 4) > 0:
            got.append(t)
        if worlds[0]["restarts"] > restarts:
            break
        if rewards[1] < t < restart:
            recorded = np.hypot(*(real["position"][t + 1][:2] - centre))
            assert recorded < 20 and np.hypot(*(p["pos"][:2] - centre)) < 20
            assert p["pos"][2] == pytest.approx(real["position"][t + 1][2], abs=1.0)
    assert len(got) == 5 and np.abs(np.array(got) - rewards).max() <= 1
    assert abs(t - restart) <= 1


@pytest.mark.parametrize("seed", [101, 103])
def test_recorded_spawns_are_ours(seed):
    real = rollout(LEVEL, seed)
    starts = [0, *(np.flatnonzero(np.diff(real["map_frame_number"]) < 0) + 1)]
    for t in starts:
        assert any(np.allclose(real["position"][t][:2], point, atol=0.01) for point in watermaze.SPAWNS)
        assert real["position"][t][2] == pytest.approx(watermaze.START_Z, abs=0.01)
