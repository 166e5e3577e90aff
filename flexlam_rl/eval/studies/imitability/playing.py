"""Play clones, experts and the random policy on the same episodes."""

from collections.abc import Callable
from typing import Any

from flexlam_rl.agents.environments import evaluation_seed, make_batch
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.rollout import Start, Tally, play_episodes
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite.batches import all_jobs, in_batches
from flexlam_rl.eval.suite.diagnostics import Diagnosed

BATCH = 32  # number of episodes that play at once


def play(
    make: Callable[[Any], Any],
    tasks: tuple[str, ...],
    spec: EnvSpec,
    episodes: int,
    seed: int,
    advisor: str | None = None,
    frames: bool = True,
) -> list[dict[str, Any]]:
    """Play evaluation episodes.

    Args:
        make: Function that makes the policy for a batch.
        tasks: Names of the levels.
        spec: Record of the levels: how they are shown and controlled.
        episodes: Number of episodes per level.
        seed: Seed of the episodes, which are those of `eval.suite` with the same seed.
        advisor: Expert that is asked at each step what it would do, without noise; None for none.
        frames: Whether the policy or the advisor looks at frames.

    Returns:
        One row per episode: level, number, return, and `Diagnosed.figures`.
    """
    rows = []
    for jobs in in_batches(all_jobs(tasks, [0], episodes, seed), spec, BATCH):
        env = make_batch(spec, [job.level for job in jobs], evaluation=True, frames=frames, words=False)
        try:
            expert = None if advisor is None else make_expert(advisor, env, 0.0, seed)
            policy = Diagnosed(make(env), env, expert)
            waiting: list[Any] = list(jobs)
            places: dict[Any, int] = {}

            def begin(i: int, waiting: list[Any] = waiting, places: dict[Any, int] = places) -> Start | None:
                job, waiting[i] = waiting[i], None
                if job is None:
                    return None
                places[job] = i
                return Start(job, evaluation_seed(job.seed), job.seed)

            for job, tally in play_episodes(env, policy, begin, Tally):
                figures = policy.figures(places[job])
                rows.append({"level": job.level, "number": job.number, "return": tally.total, **figures})
        finally:
            env.close()
    return sorted(rows, key=lambda row: (row["level"], row["number"]))
