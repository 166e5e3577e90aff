"""Playing one batch of episodes to its end."""

from collections.abc import Iterator, Sequence

import numpy as np

from flexlam_rl.agents.environments import evaluation_seed, make_batch
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.agents.resuming import Elsewhere
from flexlam_rl.agents.rollout import Start, Tally, play_episodes
from flexlam_rl.agents.watchers import TimeShares, Watcher
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite.batches import Job, Played
from flexlam_rl.eval.suite.diagnostics import Diagnosed
from flexlam_rl.eval.suite.running import Running


def play_batch(
    jobs: Sequence[Job],
    spec: EnvSpec,
    player: Player,
    watchers: Sequence[Watcher],
    running: Running,
    adviser: str | None = None,
) -> Iterator[Played]:
    """Play a batch of episodes to their ends; yields each as it ends.

    Args:
        jobs: The episodes.
        spec: How tasks are shown and controlled.
        player: Who plays.
        watchers: Told what happens; keys are jobs.
        running: Keeps the batch. Where it goes on with one that was stopped, episodes that had ended end once more.
        adviser: Expert that is asked at each step what it would do, None for nobody.
    """
    try:
        yield from _play(jobs, spec, player, watchers, running, adviser)
    except Elsewhere as error:
        running.refuse(f"{running.path} does not fit the engine or the policy as they are now ({error})")
        yield from _play(jobs, spec, player, watchers, running, adviser)
    running.ended()


def _play(
    jobs: Sequence[Job],
    spec: EnvSpec,
    player: Player,
    watchers: Sequence[Watcher],
    running: Running,
    adviser: str | None,
) -> Iterator[Played]:
    env = make_batch(
        spec, [job.level for job in jobs], evaluation=True, frames=not player.blind, words=not player.learned
    )
    waiting: list[Job | None] = list(jobs)

    def begin(i: int) -> Start | None:
        job, waiting[i] = waiting[i], None
        return None if job is None else Start(job, evaluation_seed(job.seed), job.seed)

    shares = TimeShares()
    try:
        policy = player.make(env, _budgets(jobs) if player.learned else None)
        # outside what is saved: where a batch goes on, its steps are counted, and the adviser is asked, once more
        asked = None if adviser is None else make_expert(adviser, env, 0.0, player.seed)
        policy = Diagnosed(running.watched(policy, jobs, shares, watchers), env, asked)
        places = {job: i for i, job in enumerate(jobs)}
        for job, tally in play_episodes(env, policy, begin, Tally, player.deterministic, (shares, *watchers)):
            if running.again and job in running.open:
                raise Elsewhere(f"an episode of {job.level} ends earlier")
            running.open.discard(job)
            # all have begun together: this one's steps are the batch's
            milliseconds = 1000.0 * shares.seconds["policy"] / tally.steps
            yield Played(job, tally.total, tally.steps, milliseconds, len(jobs), policy.figures(places[job]))
    finally:
        running.leave()
        env.close()


def _budgets(jobs: Sequence[Job]) -> np.ndarray | str:
    """Of each environment, or the words that a batch shares."""
    first = jobs[0].budget
    return first if isinstance(first, str) else np.array([job.budget for job in jobs])
