"""Options of the suite, checked."""

import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np

from flexlam_rl.envs.domain import find_domain
from flexlam_rl.utils.options import formerly


@dataclass(frozen=True)
class Options:
    """Play the evaluation suite and print a table of normalised returns."""

    budget: str = "16"
    """Number of codes that a decision of FlexLAM may spend: a number or a list such as 4,16,auto:0.1. auto:TOLERANCE,
    or auto:TOLERANCE:RULE with the rule regressed, change or entropy, chooses it at each step; random:MEAN draws it.
    """
    checkpoint: str | None = None
    """Folder or hub id of a bundle; by default the one that comes with the package."""
    policy: str | None = None
    """Policy that plays: flexlam, oracle (the codes of an expert's next step, translated), random, expert,
    previous-action, bc, a name that an installed package registers, or module:factory; by default flexlam, or random
    while no checkpoint comes with the package and none is named.
    """
    domain: str = "dmlab"
    """World of the tasks, from this package or an installed one."""
    tasks: tuple[str, ...] = field(default=("suite",), metadata=formerly("levels"))
    """Tasks to play: names, `suite` for the tasks that the domain scores (11 levels of DMLab), or `all` (17)."""
    episodes: int = 50
    """Number of episodes per task."""
    engine: str = "auto"
    """Engine that runs the tasks; for DMLab, litelab or deepmind_lab. auto takes the engine that the checkpoint was
    trained in; for policies without one, it takes the real engine if that is installed. Scores of different engines are
    never mixed.
    """
    textures: str | None = None
    """Look of the world; for litelab, procedural (the default) or labmaze."""
    any_look: bool = False
    """Play a checkpoint also in another engine or look than it was trained in."""
    seed: int = 0
    """Seed of all episodes."""
    adviser: str = "auto"
    """Expert that is asked at each step what it would do, to measure how often the policy agrees: any that `flexlam
    collect` takes, or none. auto asks the expert of the checkpoint's video, or the scripted one, for policies that see
    frames on litelab.
    """
    greedy: bool = False
    """Always take the likeliest codes and actions, instead of the checkpoint's own temperatures."""
    temperature: float | None = None
    """Temperature of FlexLAM's codes; 0 for the likeliest, by default the checkpoint's own."""
    action_temperature: float | None = None
    """Temperature of FlexLAM's actions, or of an expert's."""
    context: int | None = None
    """Number of frames that FlexLAM sees, at most as many as it was trained with; by default the checkpoint's own.
    Fewer are also faster.
    """
    history: str | None = None
    """Number of codes of each past block that FlexLAM's decisions see, or auto:TOLERANCE for the fewest that give the
    whole block's action; by default the checkpoint's own, which is whole blocks unless it says otherwise.
    """
    device: str = "cpu"
    """torch device of the policy."""
    num_envs: int | None = None
    """Number of environments that play at once; by default 64 on litelab, and one per core on the real engine."""
    chunk: int | None = None
    """Number of rows that the policy computes together (by default 32 on a CPU, 64 on a GPU); equal chunks give equal
    results.
    """
    cache: Literal["fp32", "bf16"] = "fp32"
    """Type of FlexLAM's cached keys and values; bf16 is faster on processors with bfloat16 units, and rounds to 3
    digits.
    """
    threads: int | None = None
    """Number of threads of the policy on a CPU; by default one per core."""
    out: Path | None = None
    """Folder for the results; by default results/suite/ with a name derived from the other options. The same command
    continues a stopped run.
    """
    videos: bool = False
    """Write the beginning of the first episode of each task as a video."""
    plots: bool = True
    """Draw the results, if matplotlib is installed."""


def checked(options: Options) -> Options:
    """Check the options before a model is loaded, and replace `suite` and `all` by the names of tasks.

    Raises:
        ValueError: An option is not allowed.
    """
    # NumPy's numbers cannot be written as JSON
    plain = {f.name: v.item() for f in fields(options) if isinstance(v := getattr(options, f.name), np.generic)}
    options = replace(options, **plain)
    options = replace(options, budget=str(options.budget), tasks=tuple(options.tasks))
    for name in ("episodes", "num_envs", "chunk", "threads", "context"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; at least 1 is needed.")
    for name in ("temperature", "action_temperature"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value}; a number of at least 0 is needed.")
    if options.seed < 0:
        raise ValueError(f"seed is {options.seed}; a number of at least 0 is needed.")
    if not options.tasks:
        raise ValueError("tasks is empty; name at least one task.")
    return replace(options, tasks=_spelled_out(options))


def _spelled_out(options: Options) -> tuple[str, ...]:
    domain = find_domain(options.domain)
    if options.tasks in (("all",), ("suite",)):
        return tuple(task.name for task in domain.tasks() if task.scored or options.tasks == ("all",))
    names = tuple(domain.task(name).name for name in options.tasks)
    if len(set(names)) < len(names):
        raise ValueError(f"tasks names a task twice: {', '.join(names)}.")
    return names
