"""psychlab_visual_search, played by observers that act with their gaze alone."""

import numpy as np
import pytest
from worlds import DREAMER15, IDLE, episode_trace, make_world, native, play, random_return, rollout

from flexlam_rl.envs.litelab import engine
from flexlam_rl.envs.litelab.events import trial_events
from flexlam_rl.envs.litelab.levels import psychlab

LEVEL = "psychlab_visual_search"
CENTRE = (0.5, 0.5)
ABSENT = (0.4, 0.95)
PRESENT = (0.6, 0.95)
DEGREES = 360.0 / 65536.0
UNIT = 0.1056  # degrees a frame that one look unit turns


def look_at(worlds, x, y):
    """One frame of turning towards a point of the screen; returns the reward."""
    p = worlds[0]["players"][0]
    east = psychlab.SCREEN_LEFT + psychlab.SCREEN_SIZE * x - p["pos"][0]
    north = psychlab.SCREEN_Y - p["pos"][1]
    up = psychlab.SCREEN_TOP - psychlab.SCREEN_SIZE * y - p["pos"][2] - p["view_height"]
    yaw = np.degrees(np.arctan2(north, east)) - p["yaw"] * DEGREES
    pitch = -np.degrees(np.arctan2(up, np.hypot(east, north))) - p["pitch"] * DEGREES
    yaw = (yaw + 180) % 360 - 180
    return play(
        worlds,
        native(
            right=int(np.clip(np.rint(-yaw / UNIT), -512, 512)), down=int(np.clip(np.rint(pitch / UNIT), -512, 512))
        ),
    )


def trial(worlds, answer):
    """One whole trial: fixate, let `answer(world)` choose a button, look at it, leave it; returns the reward."""
    done = worlds[0]["psy_trials"]
    total = 0.0
    for _ in range(60):
        if not worlds[0]["running"]:
            return total
        if worlds[0]["psy_phase"] != psychlab.SEARCH:
            total += look_at(worlds, *CENTRE)
            if worlds[0]["psy_trials"] > done and worlds[0]["psy_phase"] == psychlab.FIXATION:
                return total
        elif worlds[0]["psy_hover"] == psychlab.NOWHERE:
            total += look_at(worlds, *(PRESENT if answer(worlds[0]) else ABSENT))
        else:
            total += look_at(worlds, *CENTRE)
    raise AssertionError("the trial did not end")


def observe(seed, answer):
    """A whole episode of an observer: (return, log of the trials, world)."""
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, seed)
    total = 0.0
    while worlds[0]["running"]:
        total += trial(worlds, answer)
    count = int(worlds[0]["psy_trials"])
    return total, worlds[0]["psy_log"][:count].copy(), worlds[0]


def staircase(correct):
    """Set sizes that a list of right and wrong answers meets, by the text of the reference."""
    sizes = [1, 1, 1, 2, 2, 4, 8, 16, 24, 32]
    difficulty, index, met, block = 1, 1, [], []
    for good in correct:
        met.append(sizes[index - 1])
        block.append(good)
        if len(block) == difficulty:
            if sum(block) == difficulty:
                difficulty, index = difficulty + 1, min(index + 1, 10)
            elif sum(block) <= difficulty // 2:
                difficulty, index = max(difficulty - 1, 1), max(index - 1, 1)
            block = []
    return met


def test_perfect_observer_climbs_to_32_items_and_ends_after_80_trials():
    total, log, world = observe(1, lambda w: w["psy_present"])
    assert total == 80
    assert world["episode_over"] == 1 and world["frame"] < world["episode_frames"]
    assert log[:, 3].tolist() == staircase([1] * 80)
    assert log[-1, 3] == 32
    assert world["psy_difficulty"] == 13  # 1 + 2 + ... + 12 = 78 trials


def test_always_wrong_observer_stays_at_one_item():
    total, log, world = observe(2, lambda w: 1 - w["psy_present"])
    assert total == 0
    assert len(log) == 80 and set(log[:, 3]) == {1}
    assert world["psy_difficulty"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_random_observer_follows_the_staircase(seed):
    rng = np.random.default_rng(seed)
    total, log, _ = observe(seed, lambda w: rng.random() < 0.5 if w["psy_hover"] == psychlab.NOWHERE else 0)
    assert log[:, 3].tolist() == staircase(log[:, 1].tolist())
    assert total == log[:, 1].sum()
    assert 20 <= total <= 60
    assert (log[:, 1] == (log[:, 0] == log[:, 5])).all()


def test_arrays_obey_their_mode():
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, 3)
    seen = []

    def answer(w):
        cells = w["psy_items"].reshape(49, 2)
        items = cells[cells[:, 0] >= 0]
        targets = (items == [psychlab.TARGET_SHAPE, psychlab.TARGET_COLOR]).all(1)
        assert len(items) == w["psy_set_size"]
        assert targets.sum() == w["psy_present"]
        others = items[~targets]
        if w["psy_mode"] == psychlab.SHAPE:
            assert (others[:, 0] != psychlab.TARGET_SHAPE).all() and (others[:, 1] == psychlab.TARGET_COLOR).all()
        elif w["psy_mode"] == psychlab.COLOR:
            assert (others[:, 0] == psychlab.TARGET_SHAPE).all() and (others[:, 1] != psychlab.TARGET_COLOR).all()
        assert (others[:, 0] < psychlab.SHAPES).all() and (others[:, 1] < psychlab.COLORS).all()
        seen.append((int(w["psy_mode"]), int(w["psy_present"])))
        return w["psy_present"]

    while worlds[0]["running"]:
        trial(worlds, answer)
    assert set(seen) == {(mode, present) for mode in range(3) for present in range(2)}
    assert 0.3 < np.mean([present for _, present in seen]) < 0.7


def test_reward_comes_on_leaving_the_button():
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, 4)
    for _ in range(60):
        look_at(worlds, *CENTRE)
        if worlds[0]["psy_phase"] == psychlab.SEARCH:
            break
    right = PRESENT if worlds[0]["psy_present"] else ABSENT
    assert look_at(worlds, *right) == 0
    assert worlds[0]["psy_hover"] == (psychlab.ON_PRESENT if worlds[0]["psy_present"] else psychlab.ON_ABSENT)
    assert play(worlds, IDLE, 100) == 0 and worlds[0]["psy_trials"] == 0
    assert look_at(worlds, *CENTRE) == 1 and worlds[0]["psy_trials"] == 1
    assert worlds[0]["psy_phase"] != psychlab.FIXATION  # the next cross appears a frame later
    play(worlds, native(down=-200), 3)
    assert worlds[0]["psy_phase"] == psychlab.FIXATION


def test_only_looking_jumping_and_crouching_work():
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, 5)
    p = worlds[0]["players"][0]
    play(worlds, native(forward=1, strafe=1, fire=1), 200)
    assert p["pos"][:2].tolist() == [0.0, -32.0]
    assert p["ammo"][1] == 100


def test_start_faces_the_screen():
    yaws = []
    for seed in range(200):
        worlds = make_world(LEVEL)
        engine.begin(worlds, 0, seed)
        yaws.append(worlds[0]["players"][0]["yaw"] * DEGREES)
    assert 67.4 < min(yaws) < 72 and 108 < max(yaws) < 112.6


def test_time_out_after_150_seconds():
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, 6)
    play(worlds, IDLE, 8999)
    assert worlds[0]["running"] == 1
    play(worlds, IDLE, 1)
    assert worlds[0]["running"] == 0 and worlds[0]["episode_over"] == 0


def test_events_tell_every_trial_once():
    worlds = make_world(LEVEL)
    engine.begin(worlds, 0, 7)
    for _ in range(3):
        trial(worlds, lambda w: w["psy_present"])
    events, seen = trial_events(worlds[0], 0)
    assert seen == 3 and [name for name, _ in events] == ["xdata:psychlab"] * 3
    assert "correct = 1" in events[0][1][0]
    assert trial_events(worlds[0], seen)[0] == []


def test_random_policy_scores_about_nothing():
    worlds = make_world(LEVEL)
    returns = [random_return(worlds, seed) for seed in range(20)]
    assert np.mean(returns) < 1.5  # recorded: 0.0, published 0.085


def test_same_seed_same_episode():
    assert episode_trace(LEVEL, 8, 200) == episode_trace(LEVEL, 8, 200)
    assert episode_trace(LEVEL, 8, 200) != episode_trace(LEVEL, 9, 200)


def test_recorded_gaze_answers_in_the_recorded_step():
    real = rollout(LEVEL, 103)
    pitch, yaw = real["rotation"][0, :2]
    worlds = make_world(LEVEL, startAngles=f"{pitch} {yaw}")
    engine.begin(worlds, 0, 1)
    assert real["position"][0] == pytest.approx(worlds[0]["players"][0]["pos"], abs=0.01)
    answered = None
    for t in range(60):
        p = worlds[0]["players"][0]
        assert p["yaw"] * DEGREES == pytest.approx(real["rotation"][t, 1], abs=0.05)
        assert p["pitch"] * DEGREES == pytest.approx(real["rotation"][t, 0], abs=0.05)
        play(worlds, DREAMER15.table[real["action"][t]], 4)
        if worlds[0]["psy_trials"] == 1:
            answered = t
            break
    # the recorded reward was for "absent", one step later at most: the original's rewards lag up to three frames
    rewarded = int(np.flatnonzero(real["reward"])[0])
    assert rewarded - 1 <= answered <= rewarded
    assert worlds[0]["psy_log"][0, 0] == 0
