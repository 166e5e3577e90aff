"""`python -m eval.suite` (also `flexlam suite`): play the evaluation suite and print a table of returns.

In this first form it plays the uniformly random policy. Every episode has its own seed, drawn from the options' seed, the level and
the episode's number, for the world and for the policy; so results do not depend on how many environments run side by side.
"""

import json
import platform
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flexlam_rl import __version__
from flexlam_rl.command_line import run as run_command
from flexlam_rl.envs.actions import ACTION_SETS
from flexlam_rl.envs.levels import SUITE, level_named

FRAME_SKIP = 4
ACTION_SET = "dreamer15"


@dataclass(frozen=True)
class Options:
    """Play the evaluation suite and print a table of returns."""

    policy: Literal["random"] = "random"
    """What plays: uniformly random actions."""
    levels: tuple[str, ...] = SUITE
    """Levels to play; by default the 11 that the suite scores."""
    episodes: int = 10
    """Episodes a level."""
    engine: Literal["auto", "litelab", "deepmind_lab"] = "auto"
    """Engine that runs the levels; scores of different engines are never mixed."""
    seed: int = 0
    """Seed of all episodes."""
    num_envs: int = 16
    """Environments that are stepped side by side."""
    out: Path | None = None
    """JSON file for the result, every episode included."""


@dataclass(frozen=True)
class Episode:
    """One finished episode: its number and seed, the return, and the length in agent steps."""

    number: int
    seed: int
    total: float
    steps: int


def episode_seed(seed: int, level: str, number: int) -> int:
    """The seed in [0, 2**31) of episode `number` of a level."""
    return int(np.random.SeedSequence((seed, zlib.crc32(level.encode()), number)).generate_state(1)[0] >> 1)


def play_level(level: str, options: Options, engines: set[str]) -> Iterator[Episode]:
    """Play all episodes of one level, `num_envs` at a time; adds the name of the engine to `engines`."""
    for first in range(0, options.episodes, options.num_envs):
        numbers = range(first, min(first + options.num_envs, options.episodes))
        yield from _side_by_side(level, [(n, episode_seed(options.seed, level, n)) for n in numbers], options, engines)


def _side_by_side(level: str, episodes: list[tuple[int, int]], options: Options, engines: set[str]) -> Iterator[Episode]:
    import gymnasium as gym

    seeds = [seed for _, seed in episodes]
    count, longest = len(seeds), -(-level_named(level).frames // FRAME_SKIP)
    choices = len(ACTION_SETS[ACTION_SET])
    actions = np.stack([np.random.default_rng(seed).integers(choices, size=longest) for seed in seeds])
    env = gym.make_vec(
        "FlexLAM-DMLab-v0", num_envs=count, level=level, engine=options.engine, action_set=ACTION_SET, frame_skip=FRAME_SKIP, evaluation=True
    )
    try:
        _, infos = env.reset(seed=seeds)  # type: ignore[arg-type]  # one seed an environment, which gymnasium leaves undeclared
        engines.update(str(name) for name in np.atleast_1d(infos["engine"]))
        totals, lengths, playing = np.zeros(count), np.zeros(count, int), np.ones(count, bool)
        for step in range(longest):
            _, rewards, terminated, truncated, _ = env.step(actions[:, step])
            totals[playing] += rewards[playing]
            lengths[playing] += 1
            playing &= ~(terminated | truncated)
            if not playing.any():
                break
    finally:
        env.close()
    for (number, seed), total, length in zip(episodes, totals, lengths, strict=True):
        yield Episode(number, seed, float(total), int(length))


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean; not a number for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _checked(options: Options) -> Options:
    for name in ("episodes", "num_envs"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}; at least 1 is needed.")
    if options.seed < 0:
        raise ValueError(f"seed is {options.seed}; a number from 0 on is needed.")
    if not options.levels:
        raise ValueError("levels is empty; name at least one level.")
    for level in options.levels:
        level_named(level)
    if options.out is not None and not options.out.parent.is_dir():
        raise FileNotFoundError(f"Cannot write {str(options.out)!r}: the folder {str(options.out.parent)!r} does not exist.")
    return options


def run(options: Options) -> int:
    """Play, print the table, and write the JSON file where one is asked for.

    Raises:
        ValueError: an unknown level, or a count below 1.
        OSError: the JSON file's folder does not exist.
    """
    from rich.console import Console
    from rich.progress import Progress

    import flexlam_rl  # noqa: F401 - registers the environments
    from flexlam_rl.envs.engines import choose_engine
    from flexlam_rl.envs.litelab.batch import serve
    from flexlam_rl.envs.litelab.kernel import is_compiled

    _checked(options)
    console = Console()
    console.print("No trained policy is bundled yet: this is the uniformly random policy.")
    if choose_engine(options.engine) == "litelab" and not is_compiled(serve):
        console.print("The first run compiles litelab, which takes a few minutes; later runs start at once.")
    engines: set[str] = set()
    results: dict[str, list[Episode]] = {}
    began = time.perf_counter()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("suite", total=len(options.levels) * options.episodes)
        for level in options.levels:
            results[level] = []
            progress.update(task, description=level)
            for episode in play_level(level, options, engines):
                results[level].append(episode)
                progress.advance(task)
    seconds = time.perf_counter() - began
    print_table(console, results, engines, options, seconds)
    if options.out is not None:
        options.out.write_text(json.dumps(report(results, engines, options, seconds), indent=1) + "\n")
    return 0


def print_table(console: Any, results: dict[str, list[Episode]], engines: set[str], options: Options, seconds: float) -> None:
    """Print one row a level, with the engine named above and the speed below."""
    from rich.table import Table

    engine = ", ".join(sorted(engines))
    title = f"{options.policy} policy on {engine}, {options.episodes} episodes a level, seed {options.seed}"
    table = Table("level", title=title, title_justify="left", box=None, header_style="bold")
    for heading in ("return", "± s.e.", "lowest", "highest", "steps"):
        table.add_column(heading, justify="right")
    for level, episodes in results.items():
        totals = np.array([e.total for e in episodes])
        length = np.mean([e.steps for e in episodes])
        table.add_row(level, f"{totals.mean():.2f}", f"{standard_error(totals):.2f}", f"{totals.min():g}", f"{totals.max():g}", f"{length:.0f}")
    console.print(table)
    steps = sum(e.steps for episodes in results.values() for e in episodes)
    console.print(f"{steps} agent steps in {seconds:.1f} s ({steps / seconds:.0f} steps/s, start-up and compilation included).")
    console.print(f"Returns belong to the engine {engine} and say nothing about another one.")


def report(results: dict[str, list[Episode]], engines: set[str], options: Options, seconds: float) -> dict[str, Any]:
    """The result as JSON: every episode, and what it was measured with."""
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}
    return {
        "flexlam_rl": __version__,
        "engine": sorted(engines),
        "action_set": {"name": ACTION_SET, "hash": ACTION_SETS[ACTION_SET].hash},
        "frame_skip": FRAME_SKIP,
        "options": settings,
        "machine": platform.platform(),
        "seconds": round(seconds, 3),
        "episodes": {level: [asdict(e) for e in episodes] for level, episodes in results.items()},
    }


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.suite"))
