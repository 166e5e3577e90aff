"""Comparison, without playing, of rules that choose budgets: how often the action equals that of all M codes, and with
how many codes.

A policy sees recorded episodes and decides at each step, but its actions are not taken. For each decision, the codes
are generated once, and every prefix of them is translated.

Legend: `n` windows, `T` steps, `N` decisions, `M` slots.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from flexlam_rl.agents.policy.budgets import random_chances
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.datasets import Rollouts, Windows
from flexlam_rl.models.flexlam.adaptive.stage import calibration_error, first_below
from flexlam_rl.nn.action_distance import actions_differ
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.budget_words import RULES
from flexlam_rl.utils.files import no_progress

GRID = tuple(np.concatenate([np.geomspace(1e-4, 0.1, 25), np.linspace(0.12, 1.0, 23)]).tolist())
"""Tolerances of the curves."""
Rows = list[dict[str, Any]]


def rules_of(bundle: Any) -> tuple[str, ...]:
    """Return the rules that a bundle can play by."""
    return RULES if bundle.budget is not None else ("entropy",)


@in_own_modes
def watched_decisions(
    bundle: Any,
    rollouts: Rollouts,
    windows: int,
    length: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = no_progress,
) -> dict[str, Any]:
    """Decide at each step of recorded windows.

    Args:
        bundle: Bundle that decides, with codes drawn as its decoding says.
        rollouts: Recorded video that the bundle was not trained on.
        windows: Number of windows, n.
        length: Number of steps per window, T; the first one, which has no history, is left out.
        seed: Seed of the windows and of the draws.
        progress: Called with the number of steps done, and with their total number.

    Returns:
        "agreed", whether the action of the first k codes is that of all codes, bool (N, M); and the estimates of each
        rule, by its name, (N, M).
    """
    frames = next(Windows(rollouts, length).batches(windows, seed=seed, workers=0))["frames"]
    found: dict[str, list[np.ndarray]] = {}
    rules = rules_of(bundle)
    for number, rule in enumerate(rules):
        policy, state = LatentActionPolicy(bundle, f"auto:0:{rule}", deterministic=False, seed=seed), None
        policy.begin_episodes(np.arange(len(frames)), np.arange(len(frames)))
        for step in range(length):
            previous: torch.Tensor | None = None if state is None else state.chunks[0].previous.clone()
            _, state = policy.predict(frames[:, step], state)
            if previous is not None and policy.last is not None and policy.last.estimates is not None:
                found.setdefault(rule, []).append(policy.last.estimates)
                if number == 0:
                    found.setdefault("agreed", []).append(_agreed(bundle, policy, frames[:, step], previous))
            progress(number * length + step + 1, len(rules) * length)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _agreed(bundle: Any, policy: LatentActionPolicy, frames: np.ndarray, previous: torch.Tensor) -> np.ndarray:
    assert policy.last is not None
    codes = torch.from_numpy(policy.last.codes).to(policy.device)
    obs = torch.from_numpy(frames).to(policy.device).movedim(-1, 1).contiguous()

    def outputs(k: int) -> torch.Tensor:
        return bundle.translator(bundle.lam.keep_prefix(codes, k), previous, obs)

    whole, spec = outputs(bundle.slots), bundle.translator.config.actions
    differ = [actions_differ(outputs(k), whole, spec) for k in range(1, bundle.slots + 1)]
    return ~torch.stack(differ, 1).cpu().numpy()


def curves(seen: dict[str, Any]) -> Rows:
    """Compute mean tokens and agreement of each rule at each tolerance, of fixed and random budgets, and in hindsight.

    Args:
        seen: Result of `watched_decisions`.

    Returns:
        Rows with "rule", "tolerance" (None where there is none), "tokens" and "agreement"; rows of the rule "change"
        also have "calibration".
    """
    agreed = seen["agreed"]
    slots, shares = agreed.shape[1], agreed.mean(0)
    rows: Rows = []
    for rule in RULES:
        if rule not in seen:
            continue
        estimates = torch.from_numpy(seen[rule]).nan_to_num(1.0)  # the last estimate is not used
        for tolerance in (0.0, *GRID):
            rows.append(
                {"rule": rule, "tolerance": tolerance, **_spent(first_below(estimates, tolerance).numpy(), agreed)}
            )
        if rule == "change":
            off = calibration_error(estimates[:, :-1], torch.from_numpy(~agreed[:, :-1]))
            rows[-1]["calibration"] = off
    rows += [
        {"rule": "fixed", "tolerance": None, "tokens": k, "agreement": float(shares[k - 1])}
        for k in range(1, slots + 1)
    ]
    for mean in range(1, slots + 1):
        rows.append(
            {
                "rule": "random",
                "tolerance": None,
                "tokens": mean,
                "agreement": float(random_chances(mean, slots) @ shares),
            }
        )
    # hindsight: the shortest prefix after which the action no longer changes, which is not known in advance
    stays = np.logical_and.accumulate(agreed[:, ::-1], 1)[:, ::-1]
    rows.append({"rule": "hindsight", "tolerance": None, **_spent(stays.argmax(1) + 1, agreed)})
    return rows


def _spent(budgets: np.ndarray, agreed: np.ndarray) -> dict[str, float]:
    rows = np.arange(len(agreed))
    return {"tokens": float(budgets.mean()), "agreement": float(agreed[rows, budgets - 1].mean())}


def at_tokens(rows: Rows, rule: str, tokens: float) -> float:
    """Interpolate the agreement of a rule at a mean number of tokens, between its measured points."""
    points = sorted((row["tokens"], row["agreement"]) for row in rows if row["rule"] == rule)
    return float(np.interp(tokens, [at for at, _ in points], [value for _, value in points]))


def best_rule(rows: Rows, tokens: tuple[float, ...]) -> str:
    """Return the rule with the highest agreement, on average over these mean numbers of tokens."""
    names = [rule for rule in RULES if any(row["rule"] == rule for row in rows)]
    return max(names, key=lambda rule: np.mean([at_tokens(rows, rule, k) for k in tokens]))
