"""Lasertag: mazes and items, tags and scores, death and respawn, bots."""

import numpy as np
import pytest
from worlds import IDLE, arena, episode_trace, make_world, native, play, put, random_return, rollout, still

from flexlam_rl.envs.litelab import bots, engine, weapons
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels import lasertag

LEVELS = [f"lasertag_{n}_{size}" for n in ("one_opponent", "three_opponents") for size in ("small", "large")]
FIRE = native(fire=1)
Y = 150.0
HALL = """
**************
*P    P     P*
**************
"""


def text(world):
    return ["".join(chr(c) for c in row[: world["cols"]]) for row in world["letter"][: world["rows"]]]


@pytest.mark.parametrize("level", LEVELS)
def test_mazes_items_and_players(level):
    worlds = make_world(level)
    large, three = level.endswith("large"), "three" in level
    kinds, hues, mazes = set(), set(), set()
    for seed in range(40):
        engine.begin(worlds, 0, seed)
        w = worlds[0]
        rows = text(w)
        assert (len(rows), len(rows[0])) == ((21, 21) if large else (11, 11))
        joined = "".join(rows)
        assert joined.count("w") == (2 if large else 1) and joined.count("u") == (4 if large else 2)
        assert joined.count("P") in ((12,) if large else (9, 6))
        assert w["player_count"] == (4 if three else 2)
        for it in w["items"][: w["item_count"]]:
            letter = rows[it["cell"][0]][it["cell"][1]]
            assert letter == ("w" if it["kind"] == s.WEAPON else "u")
            assert it["wait_ms"] == {s.WEAPON: 5000, s.HEALTH: 35000, s.ARMOR: 25000}[int(it["kind"])]
            kinds.add((int(it["kind"]), int(it["group"])))
        spots = [tuple(p["pos"][:2]) for p in w["players"][: w["player_count"]]]
        assert len(set(spots)) == len(spots)
        for x, y in spots:
            assert rows[w["rows"] - 1 - int(y // 100)][int(x // 100)] == "P"
        hues.add(float(w["bot_hue"]))
        mazes.add(joined)
    assert kinds == {(s.WEAPON, s.ROCKET), (s.WEAPON, s.LIGHTNING), (s.WEAPON, s.RAILGUN), (s.HEALTH, 0), (s.ARMOR, 0)}
    assert len(mazes) == 40 and len(hues) > 30


def pair():
    worlds = arena(HALL)
    me, bot = worlds[0]["players"][:2]
    put(me, 150, Y, 0)
    put(bot, 450, Y, 180)
    return worlds, me, bot


def test_tagging_another_gives_one_and_being_tagged_nothing():
    worlds, me, bot = pair()
    bot["health"] = 7
    assert play(worlds, FIRE, 8) == 1
    assert bot["alive"] == 0 and me["score"] == 1
    worlds, me, bot = pair()
    me["health"] = 7
    weapons.damage(worlds[0], 0, 1, 7, 1.0, 0.0, 0.0)
    assert worlds[0]["reward"] == 0 and me["alive"] == 0 and bot["score"] == 1


def test_bots_tagging_each_other_brings_nothing():
    worlds = arena(HALL, level="lasertag_three_opponents_small")
    w = worlds[0]
    w["reward"] = 0
    weapons.damage(w, 2, 3, 1000, 1.0, 0.0, 0.0)
    assert w["reward"] == 0 and w["players"][3]["score"] == 1 and w["players"][2]["alive"] == 0


def tag_me(worlds):
    """The bot tags the agent; the bot then stays away."""
    me, bot = worlds[0]["players"][:2]
    put(bot, 1250, Y)
    weapons.damage(worlds[0], 0, 1, 1000, 1.0, 0.0, 0.0)
    still(worlds)
    return me


def test_dead_players_do_not_move_and_see_the_yaw_of_their_spawn():
    worlds, me, _ = pair()
    me["spawn_yaw"] = 1234
    tag_me(worlds)
    x = me["pos"].copy()
    play(worlds, native(forward=1, right=60, jump=1), 300)
    assert me["alive"] == 0 and (me["pos"] == x).all()
    assert (me["pitch"], me["yaw"]) == (0, 1234)  # as the recordings report it
    assert me["dead_yaw"] == 0  # the tagger stands in the East
    assert me["view_height"] == -16


def test_respawn_needs_1_7_seconds_and_the_trigger():
    worlds, me, _ = pair()
    tag_me(worlds)
    start = int(worlds[0]["map_ms"])
    while not me["alive"]:
        play(worlds, FIRE)
    assert 1700 <= worlds[0]["map_ms"] - start <= 1717
    assert (me["health"], me["armor"], me["weapon"], me["ammo"].tolist()) == (125, 0, s.MACHINEGUN, [-1, 100, 0, 0, 0])
    assert tuple(me["pos"][:2]) in [(150.0, Y), (650.0, Y)]  # not on the bot at the third spawn
    assert me["pos"][2] == lasertag.RESPAWN_Z
    play(worlds, FIRE, 50)
    assert me["ammo"][s.MACHINEGUN] == 100  # that press does not shoot
    assert me["pos"][2] == pytest.approx(25.125, abs=0.01)
    play(worlds, IDLE)
    play(worlds, FIRE, 10)
    assert me["ammo"][s.MACHINEGUN] < 100


def test_respawn_without_the_trigger_takes_20_seconds_more():
    worlds, me, _ = pair()
    tag_me(worlds)
    start = int(worlds[0]["map_ms"])
    while not me["alive"]:
        play(worlds, IDLE)
    assert 21700 <= worlds[0]["map_ms"] - start <= 21717


def test_bots_come_back_by_themselves_after_1_7_seconds():
    worlds, _, bot = pair()
    weapons.damage(worlds[0], 1, 0, 1000, 1.0, 0.0, 0.0)
    play(worlds, IDLE, 104)
    assert bot["alive"] == 0
    play(worlds, IDLE, 6)
    assert bot["alive"] == 1 and bot["health"] == 125


@pytest.mark.parametrize("letter", ["w", "u"])
def test_items_are_taken_and_come_back(letter):
    worlds = arena(f"***********\n*P   {letter}   P*\n***********")
    w = worlds[0]
    me, bot = w["players"][:2]
    put(bot, 150, Y)
    it = w["items"][0]
    me["health"] = 50
    put(me, it["pos"][0], it["pos"][1])
    play(worlds)
    assert it["active"] == 0
    if it["kind"] == s.WEAPON:
        assert me["weapon"] == it["group"] and me["ammo"][it["group"]] == weapons.PICKUP_AMMO[it["group"]]
    else:
        assert (me["health"], me["armor"]) in ((100, 0), (50, 50))
    taken = int(w["map_ms"])
    put(me, 850, Y)
    while not it["active"]:
        play(worlds)
    assert it["wait_ms"] <= w["map_ms"] - taken <= it["wait_ms"] + 17


def test_healthy_players_leave_health_alone():
    for seed in range(20):
        worlds = arena("***********\n*P   u   P*\n***********")
        engine.begin(worlds, 0, seed)
        still(worlds)
        it, me = worlds[0]["items"][0], worlds[0]["players"][0]
        put(me, it["pos"][0], it["pos"][1])
        play(worlds)
        assert (it["active"] == 1) == (it["kind"] == s.HEALTH)


def test_players_do_not_pass_through_each_other():
    worlds, me, bot = pair()
    play(worlds, native(forward=1), 200)
    assert 30 <= bot["pos"][0] - me["pos"][0] < 36
    assert bot["pos"][0] == pytest.approx(450, abs=1)


def test_bots_turn_at_most_240_degrees_a_second_and_find_their_way():
    worlds = make_world("lasertag_one_opponent_large")
    engine.begin(worlds, 0, 3)
    bot = worlds[0]["players"][1]
    cells, turns = set(), []
    for _ in range(3000):
        yaw, alive = int(bot["yaw"]), bot["alive"]
        play(worlds)
        if alive and bot["alive"]:
            turns.append(abs((int(bot["yaw"]) - yaw + 32768) % 65536 - 32768) * 360 / 65536)
            cells.add(bots.cell_of(worlds[0], bot))
    assert max(turns) <= 0.24 * 17 + 0.06
    assert len(cells) > 40


def test_bots_hunt():
    """A bot that sees the agent waits its reaction time, then shoots until the agent is tagged."""
    worlds = arena(HALL)
    w = worlds[0]
    me, bot = w["players"][:2]
    put(me, 150, Y, 180)
    put(bot, 650, Y, 180)
    bots.reset(w, 1)
    start = int(w["map_ms"])
    while me["health"] >= 124 and w["map_ms"] < 20_000:
        play(worlds)
    assert w["map_ms"] - start >= bots.REACTION_MS[0]
    while me["alive"] and w["map_ms"] < 60_000:
        play(worlds)
    assert me["alive"] == 0 and bot["score"] == 1


def test_four_minutes():
    worlds = make_world("lasertag_one_opponent_small")
    engine.begin(worlds, 0, 1)
    play(worlds, IDLE, 14399)
    assert worlds[0]["running"] == 1
    play(worlds, IDLE)
    assert worlds[0]["running"] == 0 and worlds[0]["episode_over"] == 0


@pytest.mark.parametrize("level", LEVELS)
def test_random_policy_scores_like_the_recorded_one(level):
    worlds = make_world(level)
    returns = [random_return(worlds, seed) for seed in range(12)]
    assert -0.8 < np.mean(returns) < 0.5  # recorded 0.0 and -0.1, published -0.08 to -0.22


@pytest.mark.parametrize("level", LEVELS)
def test_same_seed_same_episode(level):
    assert episode_trace(level, 8, 400) == episode_trace(level, 8, 400)
    assert episode_trace(level, 8, 400) != episode_trace(level, 9, 400)


@pytest.mark.parametrize(
    "level, seed",
    [
        (f"lasertag_{name}", seed)
        for name in ("one_opponent_small", "one_opponent_large", "three_opponents_large")
        for seed in (101, 103)
    ],
)
def test_recorded_deaths_follow_our_rules(level, seed):
    """Dead players stand still at least 1.7 s; they come back when FIRE is pressed, at a spawn cell, and never by
    themselves in 21.7 s.
    """
    real = rollout(level, seed)
    rows = real["meta"]["maze"].strip("\n").split("\n")
    position, action = real["position"], real["action"]
    step = np.linalg.norm(np.diff(position[:, :2], axis=0), axis=1)
    found = 0
    for t in range(len(step)):
        x, y, z = position[t + 1]
        if z - 25.125 < 4 or action[t] != 14:
            continue
        found += 1
        assert rows[len(rows) - 1 - int(y // 100)][int(x // 100)] == "P" and (x % 100, y % 100) == pytest.approx(
            (50, 50), abs=0.01
        )
        assert z <= lasertag.RESPAWN_Z + 0.05
        start = t
        while start > 0 and step[start - 1] < 0.01:
            start -= 1
        waited = 64 * (t - start)  # engine ms
        assert 1700 - 64 <= waited <= lasertag.FORCED_MS
        ready = start + 1700 // 64 + 2
        assert 14 not in action[ready:t]  # the first press was enough
        # while dead, the reported yaw is that of the last spawn
        assert len({round(float(v), 3) for v in real["rotation"][start + 1 : t, 1]}) == 1
    dead = found or (step[-30:] < 0.01).all()
    assert dead
