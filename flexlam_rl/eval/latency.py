"""`python -m eval.latency`: milliseconds a decision, by the paper's protocol (appendix B.6, table 2).

One environment, a full context, 20 warm-up steps, then 100 timed ones; a time covers everything from the frame to the
action: preprocessing, encoding the newest transition, context, generation, null filling, translation. The environment's
own step is not in it.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.number_lists import budget_list
from flexlam_rl.utils.options import formerly

WARM_UP, TIMED = 20, 100


@dataclass(frozen=True)
class Options:
    """Measure milliseconds a decision step at growing budgets."""

    checkpoint: str | None = None
    """Folder or hub id of a bundle; by default the one that comes with the package."""
    budgets: str | None = None
    """A list such as 4,16,64; by default the powers of 4 up to M, and M."""
    device: str = "cpu"
    """torch device."""
    num_envs: int = 1
    """Environments of a step; the paper's protocol has 1."""
    task: str = field(default="explore_goal_locations_small", metadata=formerly("level"))
    """Task whose frames are seen."""
    steps: int = TIMED
    """Timed steps."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """JSON file to write."""


@dataclass(frozen=True)
class Latency:
    """Of one budget: mean, standard deviation and parts, all in milliseconds a step."""

    budget: int
    mean: float
    deviation: float
    parts: dict[str, float]


def budgets_of(text: str | None, slots: int, prefix: bool) -> list[int]:
    """Budgets of an option, or 1, 4, 16, ... and M; a Fixed-K model has one.

    Raises:
        ValueError: One is out of range.
    """
    if text is not None:
        return budget_list(text, slots, prefix)
    return [*(4**i for i in range(4) if 4**i < slots), slots] if prefix else [slots]


def measure_latency(policy: Any, budget: int, num_envs: int, level: str, steps: int = TIMED) -> Latency:
    """Time decisions of a `LatentActionPolicy` on frames of a level.

    Args:
        policy: Its `budget` is set.
        budget: K.
        num_envs: Environments of a step.
        level: Whose frames, in the engine and look that the policy was trained in.
        steps: Timed steps.
    """
    import gymnasium as gym

    import flexlam_rl  # noqa: F401 - registers the environments

    facts = policy.bundle.config.environment
    look = {"textures": facts.textures[-1]} if facts.engine == "litelab" else {}
    env = gym.make_vec(
        "FlexLAM-DMLab-v0",
        num_envs=num_envs,
        level=level,
        engine=facts.engine,
        action_set=facts.action_set,
        frame_skip=facts.frame_skip,
        width=facts.width,
        height=facts.height,
        hud=facts.hud,
        **look,
    )
    policy.budget = budget
    context = policy.decoder.config.frames
    times, parts = [], []
    try:
        observation, _ = env.reset(seed=0)
        state = None
        for _ in range(context + WARM_UP + steps):
            began = time.perf_counter()
            actions, state = policy.predict(observation, state, None, True)
            times.append(1000 * (time.perf_counter() - began))
            parts.append(policy.last.seconds)
            observation = env.step(actions)[0]
    finally:
        env.close()
    timed = np.array(times[-steps:])
    names = [name for name in parts[0] if name != "total"]
    return Latency(
        budget,
        float(timed.mean()),
        float(timed.std()),
        {name: 1000 * float(np.mean([p[name] for p in parts[-steps:]])) for name in names},
    )


def run(options: Options) -> int:
    """Print the table, and write it where asked.

    Raises:
        ValueError: A budget or a number is not allowed, or the checkpoint cannot be used.
    """
    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

    for name in ("steps", "num_envs"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}; at least 1 is needed.")
    policy = LatentActionPolicy.from_pretrained(options.checkpoint, device=options.device, deterministic=True)
    budgets = budgets_of(options.budgets, policy.slots, policy.lam.config.prefix)
    about = describe_machine(options.device)
    print(
        f"{about['device']}, torch {about['torch']}, {about['threads']} threads, batch {options.num_envs}, "
        f"{options.steps} steps"
    )
    print(
        f"{'K':>4} {'ms a step':>10} {'± s.d.':>8}   of which "
        + ", ".join(("encode", "context", "generate", "translate"))
    )
    rows = []
    for k in budgets:
        found = measure_latency(policy, k, options.num_envs, options.task, options.steps)
        rows.append(found)
        print(
            f"{k:>4} {found.mean:>10.2f} {found.deviation:>8.2f}   "
            + ", ".join(f"{value:.2f}" for value in found.parts.values()),
            flush=True,
        )
    if options.out is not None:
        from flexlam_rl.utils.files import write_atomically

        record = {
            **about,
            "checkpoint": policy.bundle.hash,
            "num_envs": options.num_envs,
            "steps": options.steps,
            "milliseconds": {
                str(row.budget): {"mean": row.mean, "deviation": row.deviation, "parts": row.parts} for row in rows
            },
        }
        write_atomically(options.out, (json.dumps(record, indent=1) + "\n").encode())
    return 0


def describe_machine(device: str) -> dict[str, Any]:
    """Device, machine, torch and its threads, date and code."""
    import datetime

    import torch

    from flexlam_rl.utils.provenance import machine, revision

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return {
        "device": name,
        "machine": machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "date": datetime.date.today().isoformat(),
        "revision": revision(),
    }


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.latency"))
