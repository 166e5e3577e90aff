"""Numbered episodes of several tasks and budgets, in batches that are played side by side.

Episodes of about one length and budget share a batch, which begins and ends together. Each has its own seed for the
world and for the policy, so results depend neither on the batches nor on how many environments there are.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flexlam_rl.agents.environments import episode_steps, evaluation_seed, make_batch
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.agents.rollout import Start, Tally, play_episodes
from flexlam_rl.agents.watchers import TimeShares, Watcher
from flexlam_rl.envs.spec import EnvSpec


@dataclass(frozen=True, order=True)
class Job:
    """One episode to play: its level, the budget (0 for policies without one), its number and its seed."""

    level: str
    budget: int
    number: int
    seed: int


@dataclass(frozen=True)
class Played:
    """A finished episode: the job, its return, its length in agent steps, the policy's mean milliseconds per step, and
    for how many at once.
    """

    job: Job
    total: float
    steps: int
    milliseconds: float
    batch: int


def episode_seed(seed: int, level: str, number: int) -> int:
    """The seed in [0, 2**31) of episode `number` of a level."""
    return int(np.random.SeedSequence((seed, zlib.crc32(level.encode()), number)).generate_state(1)[0] >> 1)


def all_jobs(levels: Sequence[str], budgets: Sequence[int], episodes: int, seed: int) -> list[Job]:
    """All episodes of a run."""
    return [
        Job(level, k, i, episode_seed(seed, level, i)) for k in budgets for level in levels for i in range(episodes)
    ]


def in_batches(jobs: Iterable[Job], spec: EnvSpec, size: int) -> Iterator[list[Job]]:
    """Batches of at most `size` episodes; neighbours have about the same budget and length, so that few wait for others
    to end.
    """
    ordered = sorted(jobs, key=lambda job: (-job.budget, -episode_steps(spec, job.level), job.level, job.number))
    for first in range(0, len(ordered), size):
        yield ordered[first : first + size]


def play_batch(
    jobs: Sequence[Job], spec: EnvSpec, player: Player, watchers: Sequence[Watcher] = ()
) -> Iterator[Played]:
    """Play a batch of episodes to their ends; yields each as it ends.

    Args:
        jobs: The episodes.
        spec: How tasks are shown and controlled.
        player: Who plays.
        watchers: Told what happens; keys are jobs.
    """
    env = make_batch(
        spec, [job.level for job in jobs], evaluation=True, frames=not player.blind, words=not player.learned
    )
    waiting: list[Job | None] = list(jobs)

    def begin(i: int) -> Start | None:
        job, waiting[i] = waiting[i], None
        return None if job is None else Start(job, evaluation_seed(job.seed), job.seed)

    shares = TimeShares()
    try:
        policy = player.make(env, np.array([job.budget for job in jobs]) if player.learned else None)
        for job, tally in play_episodes(env, policy, begin, Tally, player.deterministic, (shares, *watchers)):
            # all have begun together: this one's steps are the batch's
            milliseconds = 1000.0 * shares.seconds["policy"] / tally.steps
            yield Played(job, tally.total, tally.steps, milliseconds, len(jobs))
    finally:
        env.close()
