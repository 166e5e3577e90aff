"""`python -m eval.latency`: measure milliseconds per decision, by the paper's protocol (appendix B.6, table 2).

With one environment and a full context, 20 warm-up steps are followed by 100 timed ones. The time covers everything
from the frame to the action: preprocessing, encoding the newest transition, context, generation, null filling and
translation. It does not include the environment's own step.
"""

import json
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from flexlam_rl.agents.environments import make_batch
from flexlam_rl.agents.rollout import Start, Tally, in_order, play_episodes
from flexlam_rl.agents.watchers import Watcher
from flexlam_rl.utils.budget_words import any_budgets
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.options import formerly

WARM_UP, TIMED = 20, 100


@dataclass(frozen=True)
class Options:
    """Measure milliseconds per decision at growing budgets."""

    checkpoint: str | None = None
    """Folder or hub id of a bundle; by default the one that comes with the package."""
    budgets: str | None = None
    """Budgets K, such as 4,16,64; by default the powers of 4 below M, and M."""
    device: str = "cpu"
    """torch device."""
    num_envs: int = 1
    """Number of environments per step; the paper's protocol has 1."""
    task: str = field(default="explore_goal_locations_small", metadata=formerly("level"))
    """Task whose frames the policy sees."""
    steps: int = TIMED
    """Timed steps."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """JSON file to write."""


@dataclass(frozen=True)
class Latency:
    """Figures of a budget: mean, standard deviation and parts, all in milliseconds per step."""

    budget: int | str
    mean: float
    deviation: float
    parts: dict[str, float]


def budgets_of(text: str | None, slots: int, prefix: bool) -> list[int | str]:
    """Return the budgets of an option, or by default 1, 4, 16, ... and M; a Fixed-K model has only M.

    Raises:
        ValueError: A budget is out of range.
    """
    if text is not None:
        return any_budgets(text, slots, prefix)
    return [*(4**i for i in range(4) if 4**i < slots), slots] if prefix else [slots]


class _Enough(Exception):
    """Raised when enough decisions have been timed."""


class _Timer(Watcher):
    """Records the milliseconds of every decision and of its parts, and ends the play after `count` decisions."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.rows: list[dict[str, float]] = [{}]

    def spent(self, part: str, seconds: float) -> None:
        self.rows[-1][part] = 1000 * seconds

    def stepped(self, playing: int) -> None:
        if len(self.rows) == self.count:
            raise _Enough
        self.rows.append({})


def measure_latency(policy: Any, budget: int | str, num_envs: int, level: str, steps: int = TIMED) -> Latency:
    """Time decisions of a `LatentActionPolicy` on frames of a level.

    Args:
        policy: The policy, whose `budget` is set.
        budget: Budget K, or the words of a rule.
        num_envs: Number of environments per step.
        level: Level whose frames it sees, in the engine and look that the policy was trained with.
        steps: Number of timed steps.
    """
    from flexlam_rl.agents.policy.decision import PARTS

    env = make_batch(policy.bundle.config.environment.spec, [level] * num_envs, words=False)
    policy.budget = budget
    timer = _Timer(policy.decoder.config.frames + WARM_UP + steps)
    endless = in_order(Start(i, i) for i in count())
    try:
        for _ in play_episodes(env, policy, endless, Tally, True, (timer,)):
            pass
    except _Enough:
        pass
    finally:
        env.close()
    rows = timer.rows[-steps:]
    whole = np.array([row["policy"] for row in rows])
    parts = {name: float(np.mean([row[name] for row in rows])) for name in PARTS}
    return Latency(budget, float(whole.mean()), float(whole.std()), parts)


def run(options: Options) -> int:
    """Print the table, and write it if asked to.

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
        f"{'K':>4} {'ms/step':>10} {'± s.d.':>8}   of which "
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
    """Describe device, machine, torch and its threads, date and code revision."""
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
