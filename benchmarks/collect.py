"""Measure a full collection to disk: scripted expert, native batch, frames, compression, commits.

    python benchmarks/collect.py [--json FILE] [--steps N] [--rounds R] [--levels NAME ..] [--out DIR]

Every round collects each level anew (at least 16 episodes of 64x64 frames, frame skip 4) into a fresh folder. The best
round counts, so that other jobs on the machine distort the result less. The clock runs from opening the store to its
last commit. Compiled code is loaded before.

JSON keys:
    agent_steps_per_s_per_core   median over the levels: steps / (seconds * cores)
    agent_steps_per_cpu_s        median over the levels: steps per second of processor time of all threads
    expert_share, store_share    shares of that processor time on the first level: deciding, storing
    bytes_per_frame              bytes per frame on disk
    levels                       per level: both rates, bytes per frame
    machine                      processor, cores, date, versions
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.agents.collection.collect import Job, collect
from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.collection.workers import play_here
from flexlam_rl.agents.environments import make_batch
from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert
from flexlam_rl.agents.rollout import Start, Tally, in_order, play_episodes
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.envs.litelab.pool import core_count

EXPLORE = tuple(name for name in LEVELS if name.startswith("explore_"))


class Timed:
    """Wraps a policy, and adds up the processor time of its decisions."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self.seconds = 0.0

    def predict(self, *arguments: Any) -> tuple[np.ndarray, Any]:
        """Predict as the policy does."""
        begun = time.thread_time()
        answer = self._policy.predict(*arguments)
        self.seconds += time.thread_time() - begun
        return answer  # type: ignore[no-any-return]


def once(level: str, steps: int, out: Path) -> dict[str, float]:
    """One collection."""
    folder = Path(tempfile.mkdtemp(dir=out))
    wall, processor = time.perf_counter(), time.process_time()
    (done,) = collect(Settings(), Job([level], "train", steps, folder))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    size = sum(file.stat().st_size for file in (folder / level).rglob("*") if file.is_file())
    shutil.rmtree(folder)
    return {
        "agent_steps_per_s_per_core": done.steps / wall / core_count(),
        "agent_steps_per_cpu_s": done.steps / processor,
        "bytes_per_frame": size / (done.steps + done.episodes),
    }


def shares(level: str, episodes: int = 16) -> tuple[float, float]:
    """Measure processor seconds per step of playing and drawing with the expert, and of only the expert; nothing is
    recorded.
    """
    env = make_batch(Settings().spec, [level] * episodes, copy=False)
    expert = Timed(ScriptedExpert(env))
    starts = in_order(Start(i, i) for i in range(episodes))
    begun = time.process_time()
    played = sum(tally.steps for _, tally in play_episodes(env, expert, starts, Tally))
    seconds = time.process_time() - begun
    env.close()
    return seconds / played, expert.seconds / played


def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--levels", nargs="+", default=list(EXPLORE))
    parser.add_argument("--out", type=Path, help="folder for the collections (default: a temporary one)")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    keys = iter([0])
    for _ in play_here(Settings(), options.levels[0], "train", lambda: next(keys, None), 1):
        pass  # loads the compiled code
    levels: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for level in options.levels:
            result = once(level, options.steps, out)
            best = levels.setdefault(level, result)
            levels[level] = {
                name: (max if name != "bytes_per_frame" else min)(best[name], result[name]) for name in result
            }
    if options.out is None:
        shutil.rmtree(out)
    middle = {name: statistics.median(row[name] for row in levels.values()) for name in next(iter(levels.values()))}
    played, expert = shares(options.levels[0])
    whole = 1.0 / levels[options.levels[0]]["agent_steps_per_cpu_s"]
    result = {
        **middle,
        "expert_share": expert / whole,
        "store_share": 1.0 - played / whole,
        "levels": levels,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": core_count(),
            "load": os.getloadavg()[0],
            "date": datetime.date.today().isoformat(),
            "versions": {name: metadata.version(name) for name in ("numpy", "numba", "numcodecs")},
        },
    }
    print("| level | steps/s per core | steps per CPU second | bytes per frame |\n|---|---|---|---|")
    for level, row in {**levels, "median": middle}.items():
        print(
            f"| {level} | {row['agent_steps_per_s_per_core']:,.0f} | {row['agent_steps_per_cpu_s']:,.0f} | "
            f"{row['bytes_per_frame']:,.0f} |"
        )
    print(f"\nShares of the processor time: expert {result['expert_share']:.0%}, storing {result['store_share']:.0%}.")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
