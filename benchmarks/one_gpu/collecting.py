"""Part (c): frames from litelab on all cores straight into memory, and to the device as uint8.

A call that continues a stopped one plays the same episodes again, which their numbers determine.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from benchmarks.one_gpu.session import Session
from flexlam_rl.agents.collection.schedule import Schedule, Settings
from flexlam_rl.agents.collection.workers import default_envs, play_here, spread
from flexlam_rl.agents.environments import episode_steps
from flexlam_rl.datasets import Rollouts, TransitionPairs
from flexlam_rl.datasets.memory import MemoryStore
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.litelab.pool import core_count
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.train.resident import ResidentSpans

COMPILE = """
import gymnasium, flexlam_rl
env = gymnasium.make("FlexLAM-DMLab-v0", engine="litelab")
env.reset(seed=0)
env.step(0)
"""
TEST_EPISODES = 1
"""Number of held-out episodes per task."""


def start_compiling() -> subprocess.Popen[bytes]:
    """Compile litelab's kernels in another process, while parts run that do not need them; they are kept on disk."""
    return subprocess.Popen([sys.executable, "-c", COMPILE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def settings() -> Settings:
    """Make the settings of the expert, which sees what the learner sees."""
    return Settings(expert="reactive", spec=find_domain("dmlab").resolve(EnvSpec(engine="litelab")))


def tasks(names: tuple[str, ...]) -> list[str]:
    """Return the names of tasks, with "suite" replaced by those that the domain scores."""
    return [t.name for t in find_domain("dmlab").tasks() if t.scored] if names == ("suite",) else list(names)


def run(session: Session, figures: dict[str, Any]) -> None:
    """Collect frames, move them to the device, and measure the speed."""
    wanted = tasks(session.size.tasks)
    steps = -(-session.size.frames // len(wanted))
    counts = figures.setdefault("episodes", {})
    began = time.perf_counter()
    stores: dict[str, list[MemoryStore]] = {"train": [], "test": []}
    share = session.left() / len(wanted)
    start = time.monotonic()
    for number, task in enumerate(wanted):
        late = start + 0.85 * share * (number + 1)
        found = _play(
            task, "train", counts.get(task, (steps, None))[1], steps, lambda late=late: time.monotonic() > late
        )
        counts[task] = (sum(e.length for e in found), len(found))
        stores["train"].append(MemoryStore(task, found, settings().origin(task), "train"))
        held_out = _play(task, "test", TEST_EPISODES, steps, lambda: False)
        stores["test"].append(MemoryStore(task, held_out, settings().origin(task), "test"))
        session.save("collect", figures)
    played = time.perf_counter() - began
    rollouts = {name: Rollouts(part) for name, part in stores.items()}  # type: ignore[arg-type]
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        list(pool.map(lambda store: store.digest, (*stores["train"], *stores["test"])))
    began = time.perf_counter()
    resident = ResidentSpans(TransitionPairs(rollouts["train"]), session.device)
    if session.device.startswith("cuda"):
        torch.cuda.synchronize()
    moved = time.perf_counter() - began
    session.memory = {"rollouts": rollouts, "resident": resident}
    frames = sum(store.rows for part in stores.values() for store in part)
    figures |= {
        "frames": frames,
        "seconds_playing": played,
        "frames_per_s": frames / played,
        "cores": core_count(),
        "seconds_to_device": moved,
        "gigabytes_on_device": resident.frames.numel() / 1e9,
    }
    session.save("collect", figures)


def _play(task: str, split: str, count: int | None, steps: int, late: Callable[[], bool]) -> list[Any]:
    """Play episodes 0, 1, ... of a task in order: `count` of them, or as many as `steps` need, or until time is up.
    At least one is played.
    """
    who = settings()
    length = episode_steps(who.spec, task)
    terminates = find_domain("dmlab").task(task).terminates
    schedule = Schedule(steps if count is None else NO_END, length, terminates)
    planned = schedule.remaining if count is None else count
    ready: list[Any] = []

    def begin() -> int | None:
        key = schedule.begin()
        if key is None or (count is not None and key >= count):
            return None
        return None if key > 0 and late() else key  # one episode at least

    envs = spread(planned, default_envs(who.spec, task, core_count()))
    for key, episode in play_here(who, task, split, begin, envs):
        ready += schedule.finish(key, episode)
    return ready if count is None else ready[:count]


NO_END = 1 << 60


def frames_of(session: Session) -> dict[str, Any]:
    """Return the collected rollouts, and their frames on the device; play them again if an earlier call collected
    them.
    """
    if not session.memory:
        figures = session.load("collect")
        if not figures.get("episodes"):
            raise RuntimeError("Nothing was collected: the part `collect` comes first.")
        run(session, figures)
    return session.memory
