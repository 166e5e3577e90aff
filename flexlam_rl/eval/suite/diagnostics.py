"""What a policy does while it plays, besides its return: whether it agrees with an expert, tilts its view, stands
still.

Legend: `n` environments, `A` actions.
"""

from typing import Any

import numpy as np

from flexlam_rl.agents.experts.registry import EXPERTS, adviser_of
from flexlam_rl.envs.base import action_count, base_env, batch_size
from flexlam_rl.envs.spec import EnvSpec

TILTED = 10.0
"""Angle up or down, in degrees, from which a view counts as tilted."""
STILL = 1.0
"""Distance in world units (a wall is 100 long) below which a step counts as standing still."""
COUNTS = ("steps", "asked", "agreed", "repeated", "placed", "tilted", "still")
"""Counts per episode: steps; steps at which an expert was asked, and at which it agreed; steps that repeat the previous
action; steps whose position and view are known, with a tilted view, and without moving.
"""


class Diagnosed:
    """Wraps a policy, and counts what it does.

    Tilted views and standing still are counted if the engine gives positions and views (litelab). An expert is asked at
    each step what it would do, and told what was done instead.

    Args:
        policy: The policy that plays. Its attribute `likeliest` (n,), if it has one, is compared with the expert's
            choice; otherwise, the action that it took is.
        env: Environment or batch that is played.
        expert: Expert that is asked; None for none.
    """

    def __init__(self, policy: Any, env: Any, expert: Any = None) -> None:
        self.policy, self.expert = policy, expert
        self._n, self._actions = batch_size(env), action_count(env)
        self._worlds = getattr(base_env(env), "worlds", None)
        self._counts = {name: np.zeros(self._n, np.int64) for name in COUNTS}
        self._chances = np.zeros((self._n, self._actions), np.int64)
        self._recalled = np.zeros((self._n, self._actions), np.int64)
        self._last: np.ndarray | None = None
        self._place = np.full((self._n, 2), np.nan)
        self._fresh = np.ones(self._n, np.bool_)
        self._advice_state: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        for player in (self.policy, self.expert):
            if hasattr(player, "begin_episodes"):
                player.begin_episodes(which, seeds)
        for values in (*self._counts.values(), self._chances, self._recalled):
            values[which] = 0
        self._fresh[which] = True

    def map_restarted(self, which: np.ndarray) -> None:
        """Tell policy and expert in which environments the map restarted."""
        for player in (self.policy, self.expert):
            if hasattr(player, "map_restarted"):
                player.map_restarted(which)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return the policy's actions and state, and count."""
        advice = None
        if self.expert is not None:
            advice, self._advice_state = self.expert.predict(observation, self._advice_state, episode_start, True)
        actions, state = self.policy.predict(observation, state, episode_start, deterministic)
        taken = np.asarray(actions).reshape(self._n, -1)
        self._count(taken)
        if advice is not None:
            self._compare(np.asarray(advice).reshape(-1), taken[:, 0])
        self._last = taken.copy()
        self._fresh[:] = False
        return actions, state

    def _count(self, taken: np.ndarray) -> None:
        self._counts["steps"] += 1
        if self._last is not None:
            self._counts["repeated"] += (self._last == taken).all(-1) & ~self._fresh
        if self._worlds is not None:
            player = self._worlds["players"][:, 0]
            degrees, place = player["pitch"] * (360.0 / 65536), player["pos"][:, :2].copy()
            moved = np.linalg.norm(place - self._place, axis=-1)
            self._counts["placed"] += 1
            self._counts["tilted"] += np.abs(degrees) > TILTED
            self._counts["still"] += (moved < STILL) & ~self._fresh
            self._place = place

    def _compare(self, advice: np.ndarray, taken: np.ndarray) -> None:
        liked = np.asarray(getattr(self.policy, "likeliest", taken)).reshape(-1)
        agrees, rows = liked == advice, np.arange(self._n)
        self._counts["asked"] += 1
        self._counts["agreed"] += agrees
        if self._actions:
            self._chances[rows, advice] += 1
            self._recalled[rows, advice] += agrees
        if hasattr(self.expert, "took"):
            self.expert.took(taken)

    def figures(self, i: int) -> dict[str, Any]:
        """Return what was counted in the present episode of environment `i`.

        Returns:
            `COUNTS`. If an expert was asked, also how often it chose each action, and how often the policy agreed,
            lists (A,). If the policy counts codes, also "tokens", the number that it spent, and "history_tokens", those
            of past blocks that it kept.
        """
        found: dict[str, Any] = {name: int(values[i]) for name, values in self._counts.items()}
        if (spent := getattr(self.policy, "spent", None)) is not None:
            found["tokens"] = int(spent[i])
        if (remembered := getattr(self.policy, "remembered", None)) is not None:
            found["history_tokens"] = int(remembered[i])
        if self.expert is not None and self._actions:
            found |= {"chosen": self._chances[i].tolist(), "recalled": self._recalled[i].tolist()}
        return found


def shares(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum the figures of episodes, and convert them to shares of steps, as JSON values.

    Args:
        rows: Figures of `Diagnosed.figures`, one per episode.

    Returns:
        "agreement", "repeated", "tilted" and "still", each None where it is not known; and "recall", for each action
        how often the policy agreed when the expert chose it, None where the expert never did.
    """
    total = {name: sum(row[name] for row in rows) for name in COUNTS}

    def share(name: str, of: str) -> float | None:
        return total[name] / total[of] if total[of] else None

    out: dict[str, Any] = {
        "agreement": share("agreed", "asked"),
        "repeated": share("repeated", "steps"),
        "tilted": share("tilted", "placed"),
        "still": share("still", "placed"),
    }
    for name in ("tokens", "history_tokens"):
        if all(name in row for row in rows) and total["steps"]:
            out[name] = sum(row[name] for row in rows) / total["steps"]
    lists = [row for row in rows if "chosen" in row]
    if lists:
        chosen = np.sum([row["chosen"] for row in lists], 0)
        recalled = np.sum([row["recalled"] for row in lists], 0)
        out["recall"] = [int(r) / int(c) if c else None for r, c in zip(recalled, chosen, strict=True)]
    return out


def adviser_for(asked: str, spec: EnvSpec, player: Any) -> str | None:
    """Choose the adviser: the expert that is asked at each step what it would do.

    Args:
        asked: Name of an expert, "none", or "auto".
        spec: Record of the environments.
        player: The player.

    Returns:
        The expert's name; None for no adviser.

    Raises:
        ValueError: There is no such expert.
    """
    if asked == "none":
        return None
    if asked != "auto":
        if asked.partition(":")[0] not in EXPERTS and ":" not in asked:
            raise ValueError(
                f"adviser is {asked!r}: expected auto, none, {', '.join(EXPERTS.names())}, or module:factory."
            )
        return asked
    if spec.domain != "dmlab" or spec.engine != "litelab" or spec.action_set != "dreamer15" or player.blind:
        return None
    return adviser_of(player.bundle.config.training.get("experts", []) if player.learned else [])


def print_behaviour(console: Any, columns: dict[str, dict[str, Any]]) -> None:
    """Print what policies do, one row per column of the suite.

    Args:
        console: Console of rich.
        columns: Results of `shares`, by title.
    """
    from rich.table import Table

    names = {"agreement": "agrees with the adviser", "repeated": "repeats", "tilted": "tilted view", "still": "still"}
    shown = {key: name for key, name in names.items() if any(row[key] is not None for row in columns.values())}
    if not shown:
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("share of steps", *shown.values()):
        table.add_column(heading, no_wrap=True)
    for title, row in columns.items():
        table.add_row(title, *("" if row[key] is None else f"{row[key]:.2f}" for key in shown))
    console.print(table)
