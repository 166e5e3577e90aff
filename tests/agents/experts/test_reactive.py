"""The reactive experts choose by the view, their own last actions and the last steps alone, and they play."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.experts import measure
from flexlam_rl.agents.experts.reactive.expert import ReactiveExpert
from flexlam_rl.agents.experts.reactive.memory import LONGEST
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
from flexlam_rl.envs.litelab import state as s

STEPS = 150
MAZES = tuple(level for level in LEVELS if level.startswith("explore"))


def batch(levels: Any, **options: Any) -> DMLabVectorEnv:
    return DMLabVectorEnv(list(levels), observations=("DEBUG.POS.TRANS",), **options)


def played(
    env: DMLabVectorEnv,
    expert: Any,
    steps: int,
    seed: Any,
    keep: int = 0,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Actions (steps, N) of one episode, and copies of the worlds before each of the last `keep`."""
    observation, _ = env.reset(seed=seed)
    taken, worlds = [], []
    for step in range(steps):
        if step >= steps - keep:
            worlds.append(env.worlds.copy())
        actions, _ = expert.predict(observation)
        taken.append(actions)
        observation, *_ = env.step(actions)
    return np.array(taken), worlds


def told(env: DMLabVectorEnv, memory: int, worlds: list[np.ndarray], before: np.ndarray) -> np.ndarray:
    """What a fresh expert chooses in the last of some successive states, told the actions taken before each."""
    expert = ReactiveExpert(env, temperature=0.0, memory=memory)
    chosen = np.zeros(len(env.worlds), np.int64)
    for k, state in enumerate(worlds):
        expert.worlds = state
        expert.took(before[k])
        chosen, _ = expert.predict(np.zeros((2, 3)))
    return chosen


@pytest.mark.parametrize("memory", [0, 5, LONGEST])
@pytest.mark.parametrize("seed", [0, 20])
def test_nothing_older_than_the_window_counts(memory: int, seed: int) -> None:
    """An expert that began one window and a few own actions ago chooses as the one that played from the start."""
    env = batch(LEVELS)
    window = memory + 12
    seeds = list(range(seed, seed + len(LEVELS)))
    taken, worlds = played(env, ReactiveExpert(env, temperature=0.0, memory=memory), STEPS, seeds, window)
    before = taken[-window - 1 :]
    assert (told(env, memory, worlds, before) == taken[-1]).all()


def hide(worlds: np.ndarray) -> np.ndarray:
    """The same worlds with other values of what no view shows."""
    other = worlds.copy()
    other["rng"] += np.uint64(12345)
    other["total"] += 50.0
    other["category_good"] ^= 1
    other["items"]["reward"] = -other["items"]["reward"]
    other["platform"] += 200.0
    other["goal_row"] += 1
    other["psy_present"] ^= 1
    for w in other:
        p = w["players"][0]
        if w["geometry"] != s.GRID:
            continue
        # cells behind the player become walls, and items there vanish
        ahead = np.array([np.cos(p["yaw"] * 2 * np.pi / 65536), np.sin(p["yaw"] * 2 * np.pi / 65536)])
        row, col = np.meshgrid(np.arange(w["rows"]), np.arange(w["cols"]), indexing="ij")
        places = np.stack([col * 100.0 + 50.0 - p["pos"][0], (w["rows"] - row) * 100.0 - 50.0 - p["pos"][1]], -1)
        w["cell"][: w["rows"], : w["cols"]][places @ ahead < -150.0] = s.WALL
        for item in w["items"][: w["item_count"]]:
            if (item["pos"][:2] - p["pos"][:2]) @ ahead < -30.0:
                item["active"] = 0
    return other


def test_what_the_view_does_not_show_changes_nothing() -> None:
    levels = [level for level in LEVELS if level != "language_execute_random_task"]
    env = batch(levels)
    taken, worlds = played(env, ReactiveExpert(env, temperature=0.0, memory=0), 60, 5, 60)
    for k in range(1, len(worlds)):
        state, before = worlds[k], taken[k - 1][None]
        assert (told(env, 0, [state], before) == told(env, 0, [hide(state)], before)).all(), k


def test_what_the_window_has_seen_changes_something() -> None:
    """The tests above can fail: a scripted expert's choice does hang on what it saw long ago."""
    env = batch(MAZES * 3)
    expert = ScriptedExpert(env, temperature=0.0)
    taken, worlds = played(env, expert, STEPS, 0, 1)
    fresh = ScriptedExpert(env, temperature=0.0)
    fresh.worlds = worlds[0]
    assert (fresh.predict(np.zeros((2, 3)))[0] != taken[-1]).any()


SCRIPT = """
import numpy as np
from flexlam_rl.agents.experts.reactive.expert import ReactiveExpert
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
env = DMLabVectorEnv(list(LEVELS), observations=("DEBUG.POS.TRANS",))
expert = ReactiveExpert(env, seed=1)
observation, _ = env.reset(seed=list(range(len(LEVELS))))
for _ in range(100):
    actions, _ = expert.predict(observation)
    print(*actions)
    observation, *_ = env.step(actions)
"""


def test_the_same_seeds_give_the_same_actions_in_another_process_and_alone() -> None:
    env = batch(LEVELS)
    seeds = list(range(len(LEVELS)))
    expert = ReactiveExpert(env, seed=1)
    played(env, expert, 30, [seed + 100 for seed in seeds])  # an earlier episode leaves no trace
    mine, _ = played(env, expert, 100, seeds)
    there = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    assert (np.array([line.split() for line in there.splitlines()], int) == mine).all()
    for level in ("lasertag_one_opponent_small", "explore_goal_locations_small", "psychlab_visual_search"):
        i = list(LEVELS).index(level)
        alone = batch([level])
        assert (played(alone, ReactiveExpert(alone, seed=1), 100, seeds[i])[0][:, 0] == mine[:, i]).all(), level
    assert (played(env, ReactiveExpert(env, seed=2), 100, seeds)[0] != mine).any(axis=0).sum() >= len(LEVELS) // 2


def test_temperature_makes_slips() -> None:
    env = batch(["natlab_varying_map_regrowth"] * 4)
    clean, _ = played(env, ReactiveExpert(env, temperature=0.0, seed=1), 60, 0)
    again, _ = played(env, ReactiveExpert(env, temperature=0.0, seed=2), 60, 0)
    noisy, _ = played(env, ReactiveExpert(env, temperature=1.0, seed=1), 60, 0)
    assert (clean == again).all()
    assert (clean != noisy).any()


# Far above the random policy: about half of what 20 episodes gave.
FLOORS = {
    "psychlab_visual_search": 64.0,
    "explore_object_rewards_few": 22.0,
    "rooms_watermaze": 13.0,
    "explore_goal_locations_small": 90.0,
}


@pytest.mark.parametrize("level", FLOORS)
def test_it_plays_well(level: str) -> None:
    score = measure(level, Settings(expert="reactive"), 8, first=500)
    assert score.mean > FLOORS[level], score.returns


def test_more_memory_plays_better() -> None:
    def mean(name: str) -> float:
        return measure("explore_goal_locations_small", Settings(expert=name), 16, first=500).mean

    assert mean("reactive:0") < mean("reactive") < mean("scripted:100") <= mean("scripted") == mean("scripted:100000")


def test_a_scripted_expert_forgets_what_it_saw_longer_ago() -> None:
    env = batch(["explore_goal_locations_large"] * 4)
    forgetful, never = make_expert("scripted:20", env), make_expert("scripted", env)
    for expert in (forgetful, never):
        played(env, expert, 200, 0)
        known = expert.memories["seen"] != mem.UNKNOWN
        age = expert.memories["step"][:, None, None] - expert.memories["seen_at"]
        assert known.any()
        assert (age[known] <= 20).all() == (expert is forgetful)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reactive:31", "memory is 31; .* 0 to 30 steps"),
        ("reactive:-1", "expected a number of steps"),
        ("scripted:few", "got 'few'"),
    ],
)
def test_memories_that_there_are_not_are_refused(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_expert(name, batch(["rooms_watermaze"]))


def test_it_is_a_policy_of_the_suite() -> None:
    env = batch(["rooms_watermaze"] * 2)
    observation, _ = env.reset(seed=0)
    player = Player("reactive")
    assert player.blind
    assert Player("reactive:10").blind
    assert (player.make(env).predict(observation)[0] == ReactiveExpert(env).predict(observation)[0]).all()
