"""Measuring experts: mean returns over fixed evaluation episodes."""

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.environments import at_once, engine_version, evaluation_seed, make_batch, make_single
from flexlam_rl.agents.experts.registry import is_blind, make_expert
from flexlam_rl.agents.rollout import Start, Tally, in_order, play_episodes
from flexlam_rl.envs.measured import SCHEMA, VERSION
from flexlam_rl.utils.provenance import revision

PROTOCOL = "episode i is that of reset(seed=i) with evaluation=True, i = 0, 1, ..."


@dataclass(frozen=True)
class Score:
    """Returns of one expert on one level, in the order of the episodes."""

    level: str
    expert: str
    returns: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; NaN for a single episode."""
        n = len(self.returns)
        return float(np.std(self.returns, ddof=1) / math.sqrt(n)) if n > 1 else math.nan


def measure(level: str, settings: Settings, episodes: int, num_envs: int = 50, first: int = 0) -> Score:
    """Play evaluation episodes of a level.

    Args:
        level: Name of the level.
        settings: Who plays, and how the level is shown and controlled.
        episodes: Number of episodes.
        num_envs: Number of environments that play at once, where the domain has no limit of its own.
        first: Number of the first episode.

    Returns:
        The returns of the episodes.
    """
    spec = settings.spec
    starts = [Start(i, evaluation_seed(first + i)) for i in range(episodes)]
    env: Any
    if spec.engine == "deepmind_lab":
        env = make_single(spec, level, evaluation=True)
    else:
        tasks = [level] * min(at_once(spec) or num_envs, episodes)
        env = make_batch(spec, tasks, evaluation=True, frames=not is_blind(settings.expert), copy=False)
    policy = make_expert(settings.expert, env, settings.temperature, settings.seed)
    try:
        totals = {key: tally.total for key, tally in play_episodes(env, policy, in_order(starts), Tally)}
    finally:
        env.close()
    return Score(level, settings.expert, tuple(totals[i] for i in range(episodes)))


def score_table(
    levels: Sequence[str],
    settings: Settings,
    episodes: int,
    command: str,
    on_score: Callable[[Score], None] | None = None,
    beside: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure the random policy and the expert of `settings` on levels.

    Args:
        levels: Names of the levels.
        settings: Who plays, and how the levels are shown and controlled.
        episodes: Number of episodes per level and policy.
        command: Command that makes the table; it is kept in the table.
        on_score: Called with each result.
        beside: Names of further experts, which are kept under their names.

    Returns:
        The table, as JSON values.
    """
    spec = settings.spec
    rows: dict[str, Any] = {}
    for level in levels:
        rows[level] = {}
        for role, expert in (("random", "random"), ("expert", settings.expert), *((name, name) for name in beside)):
            score = measure(level, replace(settings, expert=expert), episodes)
            rows[level][role] = {
                "policy": expert,
                "mean": round(score.mean, 4),
                "standard_error": None if math.isnan(score.standard_error) else round(score.standard_error, 4),
                "episodes": episodes,
            }
            if on_score is not None:
                on_score(score)
    return {
        "schema": SCHEMA,
        "version": VERSION,
        **({} if spec.domain == "dmlab" else {"domain": spec.domain}),
        "engine": spec.engine,
        "engine_version": engine_version(spec),
        "revision": revision(),
        "textures": "original" if spec.engine == "deepmind_lab" else spec.textures,
        "action_set": spec.action_set,
        "frame_skip": spec.frame_skip,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "protocol": PROTOCOL,
        "command": command,
        "date": datetime.date.today().isoformat(),
        "levels": rows,
    }
