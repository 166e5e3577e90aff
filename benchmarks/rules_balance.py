"""Measure the returns of a random policy under litelab's rules, and those of lasertag's bots, beside the known figures
of the real DMLab.

    python benchmarks/rules_balance.py [--episodes N] [--levels NAME ...]

The random policy is uniform over dreamer15 at frame skip 4. Published rows (DMLab-30) and recorded ones (10 episodes
each) are shown beside it; they come from the real DMLab, so that only their magnitude can be compared. In lasertag, two
more players are measured: an opponent of equal skill (a bot that plays the agent's part), whose target is about half of
the human row, and a wanderer like the recorded one.
"""

import argparse
import time

import numpy as np

from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.litelab import bots, engine, settings
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.table import LEVEL_FOLDER, LEVELS
from flexlam_rl.envs.litelab.rng import below, uniform

# level: (published random, recorded random, published human)
REAL = {
    "lasertag_one_opponent_large": (-0.083, 0.0, 18.6),
    "lasertag_one_opponent_small": (-0.224, -0.1, 12.65),
    "lasertag_three_opponents_large": (-0.102, -0.1, 31.5),
    "lasertag_three_opponents_small": (-0.214, None, 18.55),
    "natlab_varying_map_regrowth": (2.989, 2.7, 24.45),
    "psychlab_visual_search": (0.085, 0.0, 78.5),
    "rooms_exploit_deferred_effects_train": (None, 5.0, None),
    "rooms_watermaze": (4.065, 0.5, 54.0),
}
# Mean length of the recorded wanderer's life, in seconds.
RECORDED_LIFE = {
    "lasertag_one_opponent_small": 15,
    "lasertag_one_opponent_large": 32,
    "lasertag_three_opponents_large": 14,
}
FIRE = 14  # number in dreamer15


@kernel
def _random_episode(worlds, seed, table):
    engine.begin(worlds, 0, np.uint64(seed))
    w = worlds[0]
    total = 0.0
    while w.running == 1:
        total += engine.advance(worlds, 0, table[below(w, len(table))], 4)
    return total


@kernel
def _equal_episode(worlds, seed):
    """Play an episode with a bot in the agent's place; return (return, frames alive, deaths)."""
    engine.begin(worlds, 0, np.uint64(seed))
    w = worlds[0]
    action = np.zeros(7, np.int64)
    total = 0.0
    alive = 0
    deaths = 0
    before = 1
    while w.running == 1:
        bots.act(w, 0, action)
        total += engine.advance(worlds, 0, action, 1)
        now = w.players[0].alive
        alive += now
        deaths += before == 1 and now == 0
        before = now
    return total, alive, deaths


@kernel
def _wanderer_episode(worlds, seed, table):
    """Play an episode of walks to random cells with random bursts; return (return, frames alive, deaths)."""
    engine.begin(worlds, 0, np.uint64(seed))
    w = worlds[0]
    p = w.players[0]
    walk = np.zeros(7, np.int64)
    total = 0.0
    alive = 0
    deaths = 0
    before = 1
    burst = 0
    target_row = -1
    target_col = -1
    while w.running == 1:
        if burst == 0 and uniform(w) < 0.02:
            burst = 5 + below(w, 10)
        if p.alive == 0:
            total += engine.advance(worlds, 0, table[FIRE], 4)
        elif burst > 0:
            burst -= 1
            total += engine.advance(worlds, 0, table[below(w, len(table))], 4)
        else:
            row, col = bots.cell_of(w, p)
            if target_row < 0 or (row == target_row and col == target_col) or p.dist[row, col] == bots.UNREACHED:
                target_row, target_col = below(w, w.rows), below(w, w.cols)
                bots.flood(w, p.dist, target_row, target_col)
            walk[:] = 0
            bots.walk_on(w, p, walk)
            total += engine.advance(worlds, 0, walk, 4)
        if before == 1 and p.alive == 0:
            deaths += 1
            target_row = -1
        before = p.alive
        alive += 4 * p.alive
    return total, alive, deaths


def _world(level: str) -> np.ndarray:
    worlds = np.zeros(1, s.WORLD)
    settings.fill_world(worlds[0], settings.parse(LEVEL_FOLDER + level, {}, runfiles="litelab"))
    return worlds


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description="Measure returns of simple players in litelab beside the real DMLab's."
    )
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--levels", nargs="*", default=list(LEVELS), choices=list(LEVELS), metavar="NAME")
    options = parser.parse_args()
    table = ACTION_SETS["dreamer15"].table
    print(f"{'level':40} {'random':>14} {'published':>10} {'recorded':>9}   us per frame")
    for level in options.levels:
        worlds = _world(level)
        _random_episode(worlds, 0, table)
        start = time.process_time()
        returns = [_random_episode(worlds, seed, table) for seed in range(options.episodes)]
        cost = (time.process_time() - start) / options.episodes / float(worlds[0]["frame"]) * 1e6
        published, recorded, _ = REAL.get(level, (None, None, None))
        print(
            f"{level:40} {np.mean(returns):6.2f} +- {np.std(returns):5.2f} {_text(published):>10} "
            f"{_text(recorded):>9} {cost:9.2f}"
        )
    tag = [level for level in options.levels if level.startswith("lasertag")]
    if tag:
        print(
            f"\n{'level':40} {'equal opponent':>14} {'half human':>10} {'its life':>9} {'wanderer life':>14} "
            f"{'recorded':>9}"
        )
    for level in tag:
        worlds = _world(level)
        equal = np.array([_equal_episode(worlds, seed) for seed in range(options.episodes)])
        wander = np.array([_wanderer_episode(worlds, seed, table) for seed in range(options.episodes)])
        life = [rows[:, 1].sum() / 60 / max(rows[:, 2].sum(), 1) for rows in (equal, wander)]
        human = REAL[level][2]
        print(
            f"{level:40} {equal[:, 0].mean():6.2f} +- {equal[:, 0].std():5.2f} {_text(human and human / 2):>10} "
            f"{life[0]:7.1f} s {life[1]:12.1f} s"
            f" {_text(RECORDED_LIFE.get(level)):>7} s"
        )


if __name__ == "__main__":
    main()
