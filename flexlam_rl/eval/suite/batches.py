"""Numbered episodes of several tasks and budgets, in batches of episodes that are played at once.

Episodes of about the same length and budget share a batch, so that they end together. Each has its own seed for the
world and for the policy, so that results do not depend on the batches or on the number of environments.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.agents.environments import episode_steps
from flexlam_rl.envs.spec import EnvSpec


@dataclass(frozen=True)
class Job:
    """An episode to play: its level, its budget (0 for policies without one; words such as "auto:0.1" where it is
    chosen at each step), its number and its seed.
    """

    level: str
    budget: int | str
    number: int
    seed: int


@dataclass(frozen=True)
class Played:
    """A finished episode.

    Attributes:
        job: The episode that was played.
        total: Its return.
        steps: Its length in agent steps.
        milliseconds: The policy's mean milliseconds per step.
        batch: Number of environments that were decided for at once.
        figures: What the policy did (`diagnostics.Diagnosed.figures`); None for episodes of earlier versions.
    """

    job: Job
    total: float
    steps: int
    milliseconds: float
    batch: int
    figures: dict[str, Any] | None = None


def episode_seed(seed: int, level: str, number: int) -> int:
    """Return the seed in [0, 2**31) of episode `number` of a level."""
    return int(np.random.SeedSequence((seed, zlib.crc32(level.encode()), number)).generate_state(1)[0] >> 1)


def all_jobs(levels: Sequence[str], budgets: Sequence[int | str], episodes: int, seed: int) -> list[Job]:
    """List all episodes of a run.

    Args:
        levels: Names of the levels.
        budgets: Budgets to play.
        episodes: Number of episodes per level and budget.
        seed: Seed of the run.
    """
    return [
        Job(level, k, i, episode_seed(seed, level, i)) for k in budgets for level in levels for i in range(episodes)
    ]


def in_batches(jobs: Iterable[Job], spec: EnvSpec, size: int) -> Iterator[list[Job]]:
    """Divide episodes into batches of at most `size`. Those of a batch have about the same budget and length, so that
    few wait for others to end. Budgets in words have batches of their own.
    """
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.budget if isinstance(job.budget, str) else "", []).append(job)
    for group in groups.values():
        ordered = sorted(
            group, key=lambda job: (-budget_number(job), -episode_steps(spec, job.level), job.level, job.number)
        )
        for first in range(0, len(ordered), size):
            yield ordered[first : first + size]


def budget_number(job: Job) -> int:
    """Return the budget of a job as a number; 0 for words."""
    return job.budget if isinstance(job.budget, int) else 0
