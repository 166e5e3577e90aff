"""rooms_exploit_deferred_effects_train: configurations, rewards, light, end."""

from pathlib import Path

import numpy as np
import pytest
from worlds import IDLE, episode_trace, make_world, play, random_return, rollout

from flexlam_rl.envs.litelab import engine
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels import deferred

LEVEL = "rooms_exploit_deferred_effects_train"


def begin(variant):
    """A world in one of the configurations."""
    worlds = make_world(LEVEL)
    for seed in range(100):
        engine.begin(worlds, 0, seed)
        if worlds[0]["variant"] == variant:
            return worlds
    raise AssertionError("a configuration never came up")


def items(world, look):
    return [it for it in world["items"][: world["item_count"]] if it["look"] == look]


def stand_on(worlds, item):
    """Put the player on an item and play a frame; returns the reward."""
    p = worlds[0]["players"][0]
    p["pos"][:2] = item["pos"][:2]
    p["pos"][2] = 24.125
    p["vel"] = 0
    return play(worlds)


def on_grid(x, y, corner):
    col, row = (x - corner[0]) / deferred.SPACING, (y - corner[1]) / deferred.SPACING
    return col == int(col) and row == int(row) and 0 <= col < 5 and 0 <= row < 5


@pytest.mark.parametrize(
    "variant, apples, boxes, cakes, bright", [(0, 10, 1, 0, 0.0), (1, 10, 0, 10, 0.0), (2, 10, 0, 10, 1.0)]
)
def test_configurations(variant, apples, boxes, cakes, bright):
    w = begin(variant)[0]
    assert [len(items(w, look)) for look in (s.LOOK_APPLE, s.LOOK_BOX, s.LOOK_CAKE)] == [apples, boxes, cakes]
    assert w["bright"] == bright
    first = [tuple(it["pos"]) for it in items(w, s.LOOK_APPLE) + items(w, s.LOOK_BOX)]
    second = [tuple(it["pos"]) for it in items(w, s.LOOK_CAKE)]
    start = tuple(w["players"][0]["pos"])
    assert all(on_grid(x, y, deferred.ROOM_1) and z == deferred.ITEM_Z for x, y, z in first)
    assert all(on_grid(x, y, deferred.ROOM_2) for x, y, _ in second)
    assert on_grid(start[0], start[1], deferred.ROOM_1) and start[:2] not in [p[:2] for p in first]
    assert len(set(first + second)) == apples + boxes + cakes


def test_configurations_are_equally_likely():
    worlds = make_world(LEVEL)
    count = np.zeros(3)
    for seed in range(600):
        engine.begin(worlds, 0, seed)
        count[worlds[0]["variant"]] += 1
    assert (np.abs(count - 200) < 50).all()


def test_best_play_of_each_configuration():
    for variant, look, best in ((0, s.LOOK_APPLE, 10), (1, s.LOOK_APPLE, 10), (2, s.LOOK_CAKE, 100)):
        worlds = begin(variant)
        assert sum(stand_on(worlds, it) for it in items(worlds[0], look)) == best


def test_box_costs_three_brightens_and_counts():
    worlds = begin(0)
    assert stand_on(worlds, items(worlds[0], s.LOOK_BOX)[0]) == -3
    assert worlds[0]["bright"] == 1.0 and worlds[0]["picked"] == 1


def test_ends_a_fifth_of_a_second_after_the_tenth_pickup():
    worlds = begin(1)
    for it in items(worlds[0], s.LOOK_APPLE):
        assert worlds[0]["running"] == 1
        stand_on(worlds, it)
    before = int(worlds[0]["map_ms"])
    assert worlds[0]["running"] == 1
    worlds[0]["players"][0]["pos"][:2] = items(worlds[0], s.LOOK_CAKE)[0]["pos"][:2]
    assert play(worlds, IDLE, 100) == 0  # an eleventh pickup no longer counts
    assert worlds[0]["running"] == 0 and worlds[0]["episode_over"] == 1
    assert 200 <= worlds[0]["map_ms"] - before <= 217


def test_nothing_comes_back():
    worlds = begin(1)
    apple = items(worlds[0], s.LOOK_APPLE)[0]
    assert stand_on(worlds, apple) == 1
    assert play(worlds, IDLE, 2000) == 0 and apple["active"] == 0


def test_time_out_after_a_minute():
    worlds = begin(1)
    play(worlds, IDLE, 3600)
    assert worlds[0]["running"] == 0 and worlds[0]["episode_over"] == 0 and worlds[0]["frame"] == 3600


def test_random_policy_scores_like_the_recorded_one():
    worlds = make_world(LEVEL)
    returns = [random_return(worlds, seed) for seed in range(60)]
    assert 1.0 < np.mean(returns) < 12.0  # recorded 5.0, published 8.5 for the test level


def test_same_seed_same_episode():
    assert episode_trace(LEVEL, 8, 200) == episode_trace(LEVEL, 8, 200)
    assert episode_trace(LEVEL, 8, 200) != episode_trace(LEVEL, 9, 200)


@pytest.mark.parametrize("seed", [101, 103])
def test_recorded_pickups_lie_on_our_grids(seed):
    real = rollout(LEVEL, seed)
    x, y, _ = real["position"][0]
    assert on_grid(round(x), round(y), deferred.ROOM_1)
    assert real["position"][0][2] == pytest.approx(deferred.START_Z, abs=0.01)
    for t in np.flatnonzero(real["reward"]):
        corner = deferred.ROOM_1 if real["reward"][t] == 1 else deferred.ROOM_2
        grid = [(corner[0] + 120 * i, corner[1] + 120 * j) for i in range(5) for j in range(5)]
        near = [
            (gx, gy)
            for gx, gy in grid
            for px, py, _ in real["position"][t - 1 : t + 2]
            if -50 <= px - gx <= 44 and -36 <= py - gy <= 36
        ]
        assert near, f"the reward of step {t} was taken away from every place"


# Pickups of the committed traces: frame of the reward, and the place of the item, which its pickup box and our grids
# leave no choice in.
TRACED = {
    201: (
        deferred.ONE_ROOM,
        {64: (-208, -240, 1), 683: (-88, -120, -3), 742: (32, -120, 1), 785: (152, 0, 1), 1061: (152, 120, 1)},
    ),
    202: (
        deferred.DOOR_OPEN,
        {
            42: (-88, 120, 1),
            80: (-88, 0, 1),
            94: (-88, -120, 1),
            210: (272, -120, 1),
            247: (272, 0, 1),
            697: (640, -120, 10),
            1016: (640, 0, 10),
        },
    ),
}


@pytest.mark.parametrize("seed", TRACED)
def test_traced_rewards_come_in_the_recorded_frames(seed):
    trace = np.load(Path(__file__).parents[2] / "parity" / f"{LEVEL}-{seed}.npz")
    variant, pickups = TRACED[seed]
    x, y, z = trace["debug_pos_trans"][0]
    pitch, yaw, _ = trace["debug_pos_rot"][0]
    worlds = make_world(LEVEL, startPosition=f"{x} {y} {z}", startAngles=f"{pitch} {yaw}")
    for episode in range(100):
        engine.begin(worlds, 0, episode)
        if worlds[0]["variant"] == variant:
            break
    w = worlds[0]
    w["item_count"] = len(pickups)
    for it, (px, py, reward) in zip(w["items"], pickups.values(), strict=False):
        it["pos"], it["reward"], it["active"] = (px, py, deferred.ITEM_Z), reward, 1
        it["kind"] = s.BOX if reward < 0 else s.REWARD
    rewards = [play(worlds, action.astype(np.intc)) for action in trace["action"]]
    assert np.flatnonzero(trace["reward"]).tolist() == list(pickups)
    assert np.array(rewards)[list(pickups)] == pytest.approx(trace["reward"][list(pickups)])
    assert np.flatnonzero(rewards).tolist() == list(pickups)
