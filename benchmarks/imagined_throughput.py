"""Measure frames per second of the imagined environment beside litelab and the real DeepMind Lab.

    python benchmarks/imagined_throughput.py [--model NAME=FOLDER ...] [--starts LEVEL_OR_ROLLOUTS] [--json FILE]

It measures processor time, which other jobs distort less than wall-clock time: frames per second of one core that does
nothing else. Every figure is the best of three turns. torch computes in one thread. `FLEXLAM_REAL` holds the real
engine's rates from docs/real-dmlab.md, which were measured in wall-clock time.

JSON keys:
    rows      name, frames per processor second, environments, options
    machine   processor, cores, date, versions
"""

import argparse
import datetime
import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import flexlam_rl  # noqa: F401 - registers the environments
from flexlam_rl.checkpoints import default

FLEXLAM_REAL = (360, 1100)
TURNS, LEAST = 3, 0.4
LEVEL = "explore_goal_locations_small"


def rate(env: Any, count: int, seconds: float) -> float:
    """Measure frames per processor second of a batch, as the best of the turns."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(16)]
    env.step(actions[0])  # compiles, and loads memory pages
    best = 0.0
    for _ in range(TURNS):
        steps, began = 0, time.process_time()
        while (spent := time.process_time() - began) < seconds:
            env.step(actions[steps % 16])
            steps += 1
        best = max(best, steps * count / spent)
    env.close()
    return best


def settings(model: str, starts: str, name: str) -> list[dict[str, Any]]:
    """List what to measure of a model: batches of one and of many, and few and many steps of a flow decoder."""
    from flexlam_rl.agents.imagined.world import load_world_model

    flow = hasattr(load_world_model(model, None, "cpu")[0], "decode_steps")
    found = []
    for steps in (1, 2, 8) if flow else (None,):
        for count in (1, 16, 64):
            options = {"model": model, "starts": starts, **({} if steps is None else {"decode_steps": steps})}
            found.append({"name": name, "environments": count, "decode_steps": steps, "options": options})
    return found


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[], help="NAME=FOLDER; without any, the bundled decoder")
    parser.add_argument("--starts", default=LEVEL, help="a level, or a folder of rollouts")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [model.partition("=")[::2] for model in options.model] or [("FlexLAM, bundled", str(default()))]
    rows = [entry for name, folder in models for entry in settings(folder, options.starts, name)]
    for row in rows:
        env = gym.make_vec("FlexLAM-Imagined-v0", num_envs=row["environments"], horizon=64, **row.pop("options"))
        row["frames_per_s"] = round(rate(env, row["environments"], LEAST), 1)
        print(row, flush=True)
    for count in (1, 64):
        env = gym.make_vec("FlexLAM-DMLab-v0", num_envs=count, level=LEVEL, engine="litelab", threads=1)
        rows.append({"name": "litelab", "environments": count, "frames_per_s": round(rate(env, count, LEAST), 1)})
        print(rows[-1], flush=True)
    machine = {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "date": datetime.date.today().isoformat(),
        "versions": {name: metadata.version(name) for name in ("torch", "numpy", "gymnasium")},
        "load": list(np.round(os.getloadavg(), 1)) if hasattr(os, "getloadavg") else None,
    }
    print("\n| world | environments | decoder steps | frames per second of one core |\n|---|--:|--:|--:|")
    for row in rows:
        steps = row.get("decode_steps")
        print(
            f"| {row['name']} | {row['environments']} | {'' if steps is None else steps} | {row['frames_per_s']:,.0f} |"
        )
    print(
        f"| real DeepMind Lab (docs/real-dmlab.md, by the clock) | 1 | | {FLEXLAM_REAL[0]:,} to {FLEXLAM_REAL[1]:,} |"
    )
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "machine": machine}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
