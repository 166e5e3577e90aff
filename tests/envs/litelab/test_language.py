"""Rules of the language level: tasks, maps, objects, instructions and the table of rewards."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from scipy import stats

from flexlam_rl.envs.litelab import engine, observations
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels import language as rules
from flexlam_rl.envs.litelab.levels.names import COLOR_NAMES, COLOR_RGB, SHAPE_NAMES
from tests.envs.litelab.test_explore import cell_of, items_of, letters_of, touch
from tests.envs.litelab.worlds import make_world, play, rollout

LEVEL = "language_execute_random_task"
PURE = np.array(COLOR_RGB, float)
TWO = ("O....O\n..PP..\nO....O\n", "O..***..O\n..P...P..\nO..***..O\n")
FOUR = "***O.O***\n***...***\n***.P.***\nO..*.*..O\n..P...P..\nO..*.*..O\n***.P.***\n***...***\n***O.O***\n"
SIX = "O..***..O\n..P...P..\nO..*.*..O\n****.****\nO..*.*..O\n..P...P..\nO..*.*..O\n****.****\nO..*.*..O\n..P...P..\nO..***..O\n"


def color_name(item: np.void) -> str:
    """The nearest of the six colours."""
    return COLOR_NAMES[int(np.abs(PURE - item["color"][0]).sum(axis=1).argmin())]


def shape_name(item: np.void) -> str:
    """Name of an item's shape."""
    return SHAPE_NAMES[int(item["look"]) - s.SHAPES]


def rooms_of(world: np.void) -> dict[str, list[int]]:
    """Items of each room, by the letter of its variation."""
    looks = observations.maze_text(world, "variation").splitlines()
    rooms = defaultdict(list)
    for k, item in enumerate(items_of(world)):
        rooms[looks[item["cell"][0]][item["cell"][1]]].append(k)
    return rooms


def answers(world: np.void, words: str) -> list[int]:
    """Items that fit an instruction, read as a person would read it."""

    def fits(k: int, phrase: list[str]) -> bool:
        names = (color_name(items_of(world)[k]), shape_name(items_of(world)[k]), "object")
        return all(word in names for word in phrase)

    phrase = words.removeprefix("Every ").split(" ")
    if "near" not in phrase:
        return [k for k in range(int(world["item_count"])) if fits(k, phrase)]
    cut = phrase.index("near")
    found = []
    for room in rooms_of(world).values():
        found += [k for k in room if fits(k, phrase[:cut]) and any(j != k and fits(j, phrase[cut + 1 :]) for j in room)]
    return found


@pytest.fixture(scope="module")
def tasks() -> list[dict[str, Any]]:
    """What 1900 map loads set: words, map, targets, and what touching each object brings."""
    worlds = make_world(LEVEL)
    found = []
    for seed in range(1900):
        engine.begin(worlds, 0, seed)
        w = worlds[0]
        found.append(
            {
                "world": w.copy(),
                "task": int(w["task"]),
                "words": rules.instruction(w),
                "map": observations.maze_text(w, "letter"),
            }
        )
    return found


def test_tasks_have_their_weights(tasks: list[dict[str, Any]]) -> None:
    counts = Counter(task["task"] for task in tasks)
    weights = rules.TASKS[:, 0]
    assert weights.sum() == 19 and len(weights) == 14
    assert stats.chisquare([counts[k] for k in range(14)], 1900 * weights / 19).pvalue > 0.001
    two = Counter(task["map"] for task in tasks if task["map"] in TWO)
    assert stats.chisquare([two[text] for text in TWO]).pvalue > 0.001


def test_maps_are_those_of_the_tasks(tasks: list[dict[str, Any]]) -> None:
    for task in tasks:
        rooms = rules.TASKS[task["task"], 2]
        assert task["map"] in (TWO if rooms == rules.TWO else (FOUR,) if rooms == rules.FOUR_ROOMS else (SIX,))
        w = task["world"]
        letters = letters_of(w)
        assert letters[cell_of(w, w["players"][0]["pos"])] == "P"
        cells = [tuple(int(x) for x in item["cell"]) for item in items_of(w)]
        assert len(set(cells)) == len(cells) and all(letters[cell] == "O" for cell in cells)
        assert items_of(w)["active"].all() and (items_of(w)["pattern"] == s.SOLID).all()


def test_instructions_single_out_the_targets(tasks: list[dict[str, Any]]) -> None:
    """Whoever reads the words and sees the objects finds exactly the targets."""
    for task in tasks:
        w = task["world"]
        targets = [k for k, item in enumerate(items_of(w)) if item["group"] == rules.TARGET]
        assert answers(w, task["words"]) == targets, task["words"]
        assert len(targets) == w["left"]


def test_words(tasks: list[dict[str, Any]]) -> None:
    """The vocabulary has 49 words; the forms of the instructions are those of the reference."""
    words = {word for task in tasks for word in task["words"].split(" ")}
    assert words == {*COLOR_NAMES, *SHAPE_NAMES, "Every", "object", "near"} and len(words) == 49
    forms = defaultdict(set)
    for task in tasks:
        names = {**dict.fromkeys(COLOR_NAMES, "C"), **dict.fromkeys(SHAPE_NAMES, "S")}
        forms[int(rules.TASKS[task["task"], 1])].add(
            " ".join(names.get(word, word) for word in task["words"].split(" "))
        )
        assert len(task["words"].split(" ")) <= 5
    assert dict(forms) == {
        rules.PICK: {"C", "S", "C S"},
        rules.PICK_BOTH: {"C S"},
        rules.ALL_SHAPE: {"Every S"},
        rules.ALL_COLOR: {"Every C object"},
        rules.SHAPE_NEAR_SHAPE: {"S near S"},
        rules.SHAPE_NEAR_COLOR: {"S near C object"},
        rules.COLOR_NEAR_COLOR: {"C object near C object"},
    }


def test_groups(tasks: list[dict[str, Any]]) -> None:
    """Counts of targets and distractors, and what distractors share with the target (reference A6.5)."""
    counts = defaultdict(set)
    for task in tasks:
        w = task["world"]
        kind, rooms = (int(x) for x in rules.TASKS[task["task"], 1:3])
        targets = [item for item in items_of(w) if item["group"] == rules.TARGET]
        others = [item for item in items_of(w) if item["group"] == rules.DISTRACTOR]
        counts[kind, rooms].add((len(targets), len(others)))
        same = [(color_name(o) == color_name(targets[0]), shape_name(o) == shape_name(targets[0])) for o in others]
        if kind == rules.PICK:
            assert set(same) == {(False, False)}
        elif kind == rules.PICK_BOTH:
            assert Counter(same) == {(True, False): len(others) // 2, (False, True): len(others) // 2}
        elif kind == rules.COLOR_NEAR_COLOR:
            assert len({shape_name(item) for item in items_of(w)}) == 1
    two, four, six = rules.TWO, rules.FOUR_ROOMS, rules.SIX_ROOMS
    every = {(n, total - n) for total in range(4, 9) for n in range(2, total - 1)}
    assert dict(counts) == {
        (rules.PICK, two): {(1, 2)},
        (rules.PICK, four): {(1, 4)},
        (rules.PICK, six): {(1, 8)},
        (rules.PICK_BOTH, two): {(1, 2)},
        (rules.PICK_BOTH, four): {(1, 6)},
        (rules.PICK_BOTH, six): {(1, 10)},
        (rules.ALL_SHAPE, two): {(2, 2)},
        (rules.ALL_SHAPE, four): every,
        (rules.ALL_COLOR, two): {(2, 2)},
        (rules.ALL_COLOR, four): every,
        (rules.SHAPE_NEAR_SHAPE, two): {(1, 3)},
        (rules.SHAPE_NEAR_SHAPE, four): {(1, 7)},
        (rules.SHAPE_NEAR_COLOR, four): {(1, 7)},
        (rules.COLOR_NEAR_COLOR, four): {(1, 7)},
    }


def test_table_of_rewards() -> None:
    """-floor(10 / n + 0.5) for a wrong object among n, by hand."""
    table = {2: -5, 3: -3, 4: -3, 6: -2, 7: -1, 8: -1, 10: -1}
    assert {n: rules.penalty(10, n) for n in table} == table
    assert rules.penalty(12, 2) == -6  # "Every", two of each


def test_rewards_and_ends(tasks: list[dict[str, Any]]) -> None:
    """Every object of many tasks, touched: targets, then a distractor, with the map that ends or goes on."""
    worlds = make_world(LEVEL)
    for task in tasks[:250]:
        every = task["words"].startswith("Every")
        start = task["world"]
        n_targets = int((items_of(start)["group"] == rules.TARGET).sum())
        n_others = int(start["item_count"]) - n_targets
        wrong = -np.floor(((n_targets if every else 0) + 10) / n_others + 0.5)
        for k in range(int(start["item_count"])):
            worlds[0] = start
            reward = touch(worlds, k)
            if items_of(start)[k]["group"] == rules.DISTRACTOR:
                assert reward == wrong
            else:
                assert reward == (1 if every else 10)
            play(worlds)
            assert worlds[0]["restarts"] == (0 if every and reward == 1 else 1)
        if every:
            worlds[0] = start
            rewards = [
                touch(worlds, k) for k in range(int(start["item_count"])) if items_of(start)[k]["group"] == rules.TARGET
            ]
            assert rewards == [1.0] * (n_targets - 1) + [11.0]
            play(worlds)
            assert worlds[0]["restarts"] == 1


def test_taken_objects_do_not_return() -> None:
    worlds = make_world(LEVEL)
    for seed in range(40):
        engine.begin(worlds, 0, seed)
        if worlds[0]["left"] > 1:
            target = int(np.flatnonzero(items_of(worlds[0])["group"] == rules.TARGET)[0])
            assert touch(worlds, target) == 1.0
            play(worlds, frames=600)
            assert not worlds[0]["items"][target]["active"]


def test_an_answer_brings_a_new_task_without_costing_a_frame() -> None:
    worlds = make_world(LEVEL)
    w = worlds[0]
    engine.begin(worlds, 0, 0)
    seen = set()
    looks = set()
    for answer in range(40):
        frame = int(w["frame"])
        wrong = int(np.flatnonzero(items_of(w)["group"] == rules.DISTRACTOR)[0])
        assert touch(worlds, wrong) < 0
        words = rules.instruction(w)  # until the next frame
        play(worlds)
        assert w["frame"] == frame + 2 and w["map_frame"] == 1 and w["restarts"] == answer + 1
        seen.add((words, observations.maze_text(w, "letter")))
        looks.add(w["wall_texture"].tobytes())
    assert len(seen) > 30 and len(looks) > 30


def test_colours_are_pure_with_noise(tasks: list[dict[str, Any]]) -> None:
    """One standard deviation of 1 per channel, rounded and kept within 0 to 255."""
    low, high = [], []
    for task in tasks:
        for item in items_of(task["world"]):
            pure = PURE[COLOR_NAMES.index(color_name(item))]
            assert (item["color"][0] == item["color"][1]).all()
            assert np.abs(item["color"][0] - pure).max() <= 6
            low += item["color"][0][pure == 0].tolist()
            high += (255 - item["color"][0][pure == 255].astype(int)).tolist()
    for values in (low, high):
        # half of the noise is cut off; the mean of the positive half, rounded, is 0.398
        assert np.mean(np.array(values) == 0) == pytest.approx(stats.norm.cdf(0.5), abs=0.02)
        assert np.mean(values) == pytest.approx(
            sum(k * (stats.norm.cdf(k + 0.5) - stats.norm.cdf(k - 0.5)) for k in range(1, 7)), abs=0.02
        )


def test_recorded_answers_fit_the_table() -> None:
    """Rewards of the recorded answers are those that the table allows for their instructions."""
    checked = 0
    for seed in (101, 103):
        data = rollout(LEVEL, seed)
        rewards = data["reward"]
        for t in np.flatnonzero(rewards):
            words = str(data["instruction"][t])
            every = words.startswith("Every")
            n_words = len(words.split(" "))
            if every:
                allowed = {
                    1.0,
                    *(k + 0.0 for k in (11.0,)),
                    *(float(-np.floor((n + 10) / m + 0.5)) for n in range(2, 7) for m in range(2, 7)),
                }
            elif "near" in words:
                allowed = {10.0, -3.0, -1.0}
            elif n_words == 2:
                allowed = {10.0, -5.0, -3.0, -2.0, -1.0}
            else:
                allowed = {10.0, -5.0, -3.0, -1.0}
            assert float(rewards[t]) in allowed, (words, rewards[t])
            known = {*COLOR_NAMES, *SHAPE_NAMES, "Every", "object", "near"}
            assert set(words.split(" ")) <= known
            checked += 1
        assert data["meta"]["maze"] in (*TWO, FOUR, SIX)
    assert checked == 11


@pytest.mark.parametrize("text", [*TWO, FOUR, SIX])
def test_a_given_map_of_the_level_keeps_its_tasks(text: str) -> None:
    worlds = make_world(LEVEL, overrideEntityLayer=text)
    w = worlds[0]
    kinds = set()
    for seed in range(60):
        engine.begin(worlds, 0, seed)
        assert observations.maze_text(w, "letter") == text
        assert set(observations.maze_text(w, "variation")) >= {"A", "B"}
        kinds.add(int(w["task"]))
        assert answers(w, rules.instruction(w)) == [
            k for k, item in enumerate(items_of(w)) if item["group"] == rules.TARGET
        ]
    expected = {TWO[0]: rules.TWO, TWO[1]: rules.TWO, FOUR: rules.FOUR_ROOMS, SIX: rules.SIX_ROOMS}[text]
    assert kinds == {k for k in range(14) if rules.TASKS[k, 2] == expected}


def test_another_maze_gets_tasks_that_fit_it() -> None:
    worlds = make_world(LEVEL, overrideEntityLayer="*****\n*PPO*\n*O O*\n*****")
    for seed in range(60):
        engine.begin(worlds, 0, seed)
        w = worlds[0]
        assert w["item_count"] == 3
        assert answers(w, rules.instruction(w)) == [
            k for k, item in enumerate(items_of(w)) if item["group"] == rules.TARGET
        ]
