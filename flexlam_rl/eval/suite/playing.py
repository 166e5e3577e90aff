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
    """Play a batch of episodes to their ends.

    Args:
        jobs: The episodes.
        spec: Record of the tasks: how they are shown and controlled.
        player: The player.
        watchers: Watchers that are told what happens; keys are jobs.
        running: Saves the batch. If it continues a stopped batch, episodes that had ended before end once more.
        adviser: Expert that is asked at each step what it would do; None for none.

    Yields:
        Each episode when it ends.
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
        # not part of what is saved: when a batch continues, its steps are counted and the adviser is asked again
        asked = None if adviser is None else make_expert(adviser, env, 0.0, player.seed)
        policy = Diagnosed(running.watched(policy, jobs, shares, watchers), env, asked)
        places = {job: i for i, job in enumerate(jobs)}
        for job, tally in play_episodes(env, policy, begin, Tally, player.deterministic, (shares, *watchers)):
            if running.again and job in running.open:
                raise Elsewhere(f"an episode of {job.level} ends earlier")
            running.open.discard(job)
            # all episodes began together, so that the batch has as many steps as this one
            milliseconds = 1000.0 * shares.seconds["policy"] / tally.steps
            yield Played(job, tally.total, tally.steps, milliseconds, len(jobs), policy.figures(places[job]))
    finally:
        running.leave()
        env.close()


def _budgets(jobs: Sequence[Job]) -> np.ndarray | str:
    """Return the budget of each environment, or the words that a batch shares."""
    first = jobs[0].budget
    return first if isinstance(first, str) else np.array([job.budget for job in jobs])
