"""Make the animation of the README: the bundled policy at three budgets, and the expert, in four levels.

    python tools/readme_film.py docs/pictures/policy.webp

All play the same episode of a level, from the evaluation stream. A return above 0 is written below the picture.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from flexlam_rl.agents.environments import compile_first, make_single
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.eval.demo import played
from flexlam_rl.utils.pictures import GAP, PAPER, Picture, beside, caption, enlarged, write_animation

LEVELS = (
    "explore_goal_locations_small",
    "explore_object_locations_small",
    "rooms_watermaze",
    "psychlab_visual_search",
)
BUDGETS = (1, 4, 16)
SEED, STEPS, EVERY, FACTOR = 1, 120, 2, 2
"""Seed of the episodes and draws; number of decisions; decisions per picture; side of the square drawn per pixel."""


def tile(episode: Episode, step: int, name: str) -> Picture:
    """Draw a frame with the player's name and the return so far."""
    step = min(step, len(episode.frames) - 1)
    total = 0.0 if episode.reward is None else float(episode.reward[:step].sum())
    return caption(enlarged(episode.frames[step], FACTOR), f"{name}: {total:g}")


def sheet(rows: list[list[Picture]]) -> Picture:
    """Put the tiles of the levels below each other."""
    strips = [beside(row) for row in rows]
    gap = np.full((GAP, strips[0].shape[1], 3), PAPER, np.uint8)
    return np.concatenate([part for strip in strips for part in (strip, gap)][:-1])


def main(path: Path) -> None:
    """Play the episodes, and write the animation."""
    torch.set_num_threads(1)
    player = Player(seed=SEED)
    spec = find_domain(player.bundle.config.environment.domain).resolve(player.bundle.config.environment.spec)
    compile_first(spec, Console())
    episodes: list[dict[str, Episode]] = []
    for level in LEVELS:
        env: Any = make_single(spec, level, evaluation=True)
        who = {f"K = {k}": player.make(env, k) for k in BUDGETS} | {"expert": make_expert("scripted", env, 1.0, SEED)}
        episodes.append({name: played(env, policy, STEPS, SEED, lambda *_: None) for name, policy in who.items()})
        env.close()
    pictures = [
        sheet([[tile(played, step, name) for name, played in row.items()] for row in episodes])
        for step in range(0, STEPS, EVERY)
    ]
    write_animation(path, pictures, 15 / EVERY)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
