"""Measure steps per second, resets and memory of litelab beside ViZDoom, Miniworld and (if installed) the real DeepMind
Lab.

    python benchmarks/env_throughput.py [--json FILE]

Everything is measured in one run on one machine, in turns: each round measures every environment once, and the best
round counts, so that other jobs distort the result less. All have 64x64 pixels and frame skip 4; random actions are
drawn beforehand, every observation is read, and resets at the end of an episode are included. litelab runs as users run
it: `gym.make` with all default wrappers, and `gym.make_vec` with 64 environments. ViZDoom's smallest screen is 160x120.
Miniworld has no frame skip, so that one of its steps is one frame.

JSON keys:
    single_steps_per_s          median over the explore levels, one environment
    batch_steps_per_s_per_core  median over the explore levels, 64 environments, divided by the cores
    reset_ms_median             median of a reset in the level where it is longest
    mib_per_env                 growth of the process per environment, over 64 more environments
    first_step_s                start of a fresh process to the end of its first step, with compiled code on disk
    peers                       name -> steps/s
    levels                      per level: single, batch per core, reset
    machine                     processor, cores, date, versions
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import flexlam_rl  # noqa: F401 - registers the environments
from flexlam_rl.envs.domains.dmlab.levels import LEVELS

ENV_ID, FRAME_SKIP, NUM_ENVS, RESETS = "FlexLAM-DMLab-v0", 4, 64, 41
DEFAULT = "explore_goal_locations_small"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# a process from its start to its first step; then the memory that 64 more environments take
FIRST_STEP = (
    "import gymnasium as gym, flexlam_rl; e = gym.make('FlexLAM-DMLab-v0', engine='litelab'); "
    "e.reset(seed=0); e.step(0)"
)
MEMORY = """
import gymnasium as gym, flexlam_rl

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 2**20

def started(seed):
    env = gym.make("FlexLAM-DMLab-v0", level="explore_goal_locations_large", engine="litelab")
    env.reset(seed=seed)
    env.step(0)
    return env

kept = [started(0)]
before = resident()
kept += [started(seed) for seed in range(1, 65)]
print((resident() - before) / 64)
"""


class Stepper:
    """A running environment; `run(seconds)` steps it and returns steps per second."""

    def __init__(self, env: Any, actions: np.ndarray, count: int = 1) -> None:
        self.env, self.actions, self.count, self.at = env, actions, count, 0
        env.reset(seed=0)
        self._advance(64)  # compiles, and loads memory pages

    def _advance(self, steps: int) -> None:
        env, actions, single = self.env, self.actions, self.count == 1
        for _ in range(steps):
            result = env.step(actions[self.at])
            self.at = (self.at + 1) % len(actions)
            if single and (result[2] or result[3]):  # a batch resets by itself
                env.reset()

    def run(self, seconds: float) -> float:
        steps, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            self._advance(16)
            steps += 16
        return steps * self.count / elapsed


def litelab_single(level: str) -> Stepper:
    env = gym.make(ENV_ID, level=level, engine="litelab", frame_skip=FRAME_SKIP, width=64, height=64)
    return Stepper(env, np.random.default_rng(0).integers(15, size=4096).tolist())


def litelab_batch(levels: list[str]) -> Stepper:
    level = levels[0] if len(levels) == 1 else [levels[i % len(levels)] for i in range(NUM_ENVS)]
    env = gym.make_vec(
        ENV_ID, num_envs=NUM_ENVS, level=level, engine="litelab", frame_skip=FRAME_SKIP, width=64, height=64
    )
    return Stepper(env, np.random.default_rng(0).integers(15, size=(512, NUM_ENVS)), NUM_ENVS)


def deepmind_lab() -> Stepper:
    env = gym.make(ENV_ID, level=DEFAULT, engine="deepmind_lab", frame_skip=FRAME_SKIP, width=64, height=64)
    return Stepper(env, np.random.default_rng(0).integers(15, size=4096).tolist())


def vizdoom(resolution: str) -> Stepper:
    import vizdoom
    import vizdoom.gymnasium_wrapper

    screen = getattr(vizdoom.ScreenResolution, f"RES_{resolution.upper()}")
    env: Any = gym.make("VizdoomMyWayHome-v1", frame_skip=FRAME_SKIP, screen_resolution=screen)
    return Stepper(env, np.random.default_rng(0).integers(env.action_space.n, size=4096).tolist())


def miniworld() -> Stepper:
    import pyglet

    pyglet.options["headless"] = True
    import miniworld  # noqa: F401 - registers its environments

    env = gym.make("MiniWorld-FourRooms-v0", obs_width=64, obs_height=64)
    return Stepper(env, np.random.default_rng(0).integers(3, size=4096).tolist())


PEERS: dict[str, Callable[[], Stepper]] = {
    "vizdoom_my_way_home_160x120": lambda: vizdoom("160x120"),
    "vizdoom_my_way_home_320x240": lambda: vizdoom("320x240"),
    "miniworld_four_rooms_64x64": miniworld,
    "deepmind_lab_64x64": deepmind_lab,
}


def started_peers() -> dict[str, Stepper]:
    """Start the peers that this machine can run, and print the reason for each of the others."""
    peers = {}
    for name, make in PEERS.items():
        try:
            peers[name] = make()
        except Exception as error:  # missing packages, displays or game files raise many types
            print(f"{name}: not measured ({' '.join(str(error).split()) or type(error).__name__})", file=sys.stderr)
    return peers


def in_turns(steppers: dict[str, Stepper], rounds: int, seconds: float) -> dict[str, float]:
    """Measure the best steps per second of each over `rounds` rounds, in each of which every environment has a turn."""
    best = dict.fromkeys(steppers, 0.0)
    for _ in range(rounds):
        for name, stepper in steppers.items():
            best[name] = max(best[name], stepper.run(seconds))
    return best


def reset_ms(level: str) -> float:
    """Measure the median milliseconds of a reset with a new seed, which draws a new map."""
    env = gym.make(ENV_ID, level=level, engine="litelab")
    env.reset(seed=0)
    times = []
    for seed in range(1, RESETS + 1):
        began = time.perf_counter()
        env.reset(seed=seed)
        times.append(1e3 * (time.perf_counter() - began))
    env.close()
    return statistics.median(times)


def fresh_process(code: str) -> tuple[str, float]:
    """Run `code` in a new Python; return its output, and the seconds from its start to its end."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip(), time.perf_counter() - began


def machine() -> dict[str, Any]:
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        processor = models[0] if models else processor
    versions = {}
    for package in ("flexlam_rl", "gymnasium", "numba", "numpy", "vizdoom", "miniworld"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = ""
    return {
        "processor": processor,
        "cores": CORES,
        "load_before": os.getloadavg()[0],
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "versions": versions,
    }


def measure(levels: list[str], rounds: int, seconds: float, with_peers: bool) -> dict[str, Any]:
    facts = machine()
    explore = [level for level in levels if level.startswith("explore_")] or levels
    fresh_process(FIRST_STEP)  # leaves compiled code on disk
    first_step_s = min(fresh_process(FIRST_STEP)[1] for _ in range(rounds))
    mib_per_env = float(fresh_process(MEMORY)[0]) if Path("/proc/self/statm").exists() else float("nan")
    resets = {level: reset_ms(level) for level in levels}
    peers = started_peers() if with_peers else {}
    # all single environments and peers in turns, then all batches, which take every core
    single = in_turns({**peers, **{level: litelab_single(level) for level in levels}}, rounds, seconds)
    batches = {level: litelab_batch([level]) for level in levels} | {"all levels mixed": litelab_batch(levels)}
    batch = {name: speed / CORES for name, speed in in_turns(batches, rounds, seconds).items()}
    table = {
        level: {
            "single_steps_per_s": single[level],
            "batch_steps_per_s_per_core": batch[level],
            "reset_ms_median": resets[level],
        }
        for level in levels
    }
    table["all levels mixed"] = {"batch_steps_per_s_per_core": batch["all levels mixed"]}
    return {
        "single_steps_per_s": statistics.median(single[level] for level in explore),
        "batch_steps_per_s_per_core": statistics.median(batch[level] for level in explore),
        "reset_ms_median": max(resets.values()),
        "mib_per_env": mib_per_env,
        "first_step_s": first_step_s,
        "peers": {name: single[name] for name in peers},
        "levels": table,
        "machine": facts,
    }


def print_report(result: dict[str, Any]) -> None:
    """Print Markdown for docs/benchmarks.md."""
    facts = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    print(
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, load {facts['load_before']:.1f} before "
        "the run,"
    )
    print(f"Python {facts['python']}, {versions}\n")
    print("| level | single, steps/s | batch of 64, steps/s per core | reset, ms (median) |\n|---|--:|--:|--:|")
    for name, row in result["levels"].items():
        cells = [
            f"{row[key]:{form}}" if key in row else ""
            for key, form in (
                ("single_steps_per_s", ",.0f"),
                ("batch_steps_per_s_per_core", ",.0f"),
                ("reset_ms_median", ".2f"),
            )
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| peer | steps/s | litelab, explore levels, is faster by |\n|---|--:|--:|")
    for name, speed in result["peers"].items():
        print(f"| {name} | {speed:,.0f} | {result['single_steps_per_s'] / speed:.1f} |")
    print(f"\nOne environment, explore levels: {result['single_steps_per_s']:,.0f} steps/s (median over levels)")
    print(
        f"Batch of {NUM_ENVS}, explore levels: {result['batch_steps_per_s_per_core']:,.0f} steps/s per core (median "
        "over levels)"
    )
    print(f"Reset: {result['reset_ms_median']:.2f} ms (median, slowest level)")
    print(f"Memory: {result['mib_per_env']:.2f} MiB per environment")
    print(f"New process to first step: {result['first_step_s']:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the environments; see the head of this file.")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument(
        "--levels", nargs="+", default=list(LEVELS), choices=list(LEVELS), metavar="LEVEL", help="default: all"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="turns per environment, of which the best counts (default 3)"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn (default 1)")
    parser.add_argument("--no-peers", action="store_true", help="leave out ViZDoom, Miniworld and the real engine")
    options = parser.parse_args()
    if options.json is not None and not options.json.parent.is_dir():
        parser.error(f"the folder of --json {str(options.json)!r} does not exist")
    result = measure(options.levels, options.rounds, options.seconds, not options.no_peers)
    print_report(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
