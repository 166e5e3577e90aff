"""Rank correlations over models, with intervals, of the audit's figures with what a model earns.

The unit is a latent action model of one seed; its budgets are resampled together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.eval.lam.audit.examine import figures_of
from flexlam_rl.eval.studies.matched.contrasts import METRICS

Row = dict[str, Any]
FEWEST = 5
"""Smallest number of models for a correlation."""
RESAMPLES = 500


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the rank correlation of two arrays (N,), with ties at their mean rank; NaN where either is constant."""
    from scipy.stats import rankdata

    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else float("nan")


def within(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> float:
    """Compute the mean rank correlation within groups of three or more, weighted by their size; NaN where no group has
    any spread.
    """
    found = []
    for group in np.unique(groups):
        here = groups == group
        if here.sum() >= 3:
            found.append((spearman(x[here], y[here]), int(here.sum())))
    kept = [(value, size) for value, size in found if not np.isnan(value)]
    return sum(value * size for value, size in kept) / sum(size for _, size in kept) if kept else float("nan")


def correlate(
    x: np.ndarray, y: np.ndarray, budgets: np.ndarray, models: Sequence[Any], seed: int = 0
) -> dict[str, Any] | None:
    """Correlate two columns over models.

    Args:
        x, y: A figure of the audit, and the outcome, (N,).
        budgets: Values of K, (N,).
        models: Model of each row; rows of one model are resampled together.
        seed: Seed of the bootstrap.

    Returns:
        "pooled" and "within" (equal budgets), each with "low" and "high", the ends of the bootstrap's 95% interval over
        models; None below `FEWEST` models. A value is None where it is not defined.
    """
    names = list(dict.fromkeys(models))
    if len(names) < FEWEST:
        return None
    rows = [np.array([i for i, model in enumerate(models) if model == name]) for name in names]
    chance, drawn = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        at = np.concatenate([rows[i] for i in chance.integers(len(rows), size=len(rows))])
        drawn.append((spearman(x[at], y[at]), within(x[at], y[at], budgets[at])))
    out: dict[str, Any] = {"models": len(names), "rows": len(x)}
    values = spearman(x, y), within(x, y, budgets)
    for name, value, column in zip(("pooled", "within"), values, np.array(drawn).T, strict=True):
        good = column[~np.isnan(column)]
        ends = np.quantile(good, (0.025, 0.975)).tolist() if len(good) and not np.isnan(value) else (None, None)
        out[name] = {"value": None if np.isnan(value) else value, "low": ends[0], "high": ends[1]}
    return out


def correlations(rows: Sequence[Row]) -> list[Row]:
    """Correlate every figure of the audit with every outcome.

    Args:
        rows: Rows of all layers, including the audit's.

    Returns:
        One row per layer, labels, amount and figure: the result of `correlate`, with "layer", "labels", "amount",
        "metric" and "figure".
    """
    audits = {(r["model"], r["seed"], r["budget"]): r for r in rows if r["layer"] == "audit"}
    settings = list(
        dict.fromkeys((r["layer"], r["labels"], r["amount"]) for r in rows if r["layer"] in METRICS and r["budget"])
    )
    found = []
    for layer, labels, amount in sorted(settings, key=lambda s: (list(METRICS).index(s[0]), s[1] != "standard", s[2])):
        metric = next(iter(METRICS[layer]))
        here = [
            (audits[key], r)
            for r in rows
            if (r["layer"], r.get("labels"), r.get("amount")) == (layer, labels, amount)
            and (key := (r["model"], r["seed"], r["budget"])) in audits
        ]
        for figure in figures_of([audit for audit, _ in here]):
            pairs = [(audit, r) for audit, r in here if figure in audit]
            one = correlate(
                np.array([audit[figure] for audit, _ in pairs]),
                np.array([r[metric] for _, r in pairs]),
                np.array([r["budget"] for _, r in pairs]),
                [(r["model"], r["seed"]) for _, r in pairs],
            )
            about = {"layer": layer, "labels": labels, "amount": amount, "metric": metric, "figure": figure}
            if one is not None:
                found.append(about | one)
    return found


def correlation_page(found: Sequence[Mapping[str, Any]]) -> str:
    """Write the correlations as Markdown, with the most certain ones within equal budgets first."""
    if not found:
        return f"No correlations yet: fewer than {FEWEST} models have been both audited and measured in a layer.\n"
    lines = [
        "Rank correlation (Spearman) of each figure of the audit with the outcome of a layer; 95 % intervals, "
        "bootstrap over models. *Within* compares equal budgets only:\n",
        "| outcome | labels | amount | figure | within equal K | all K | models |",
        "|---|---|--:|---|---|---|--:|",
    ]
    settings = list(dict.fromkeys((row["layer"], row["labels"], row["amount"]) for row in found))

    def order(row: Mapping[str, Any]) -> tuple[int, float]:
        place = settings.index((row["layer"], row["labels"], row["amount"]))
        return place, -abs(row["within"]["value"] or 0.0)

    for row in sorted(found, key=order):
        figure = row["figure"].replace("_", " ")
        lines.append(
            f"| {row['layer']}, {row['metric']} | {row['labels']} | {row['amount']} | {figure} | "
            f"{_interval(row['within'])} | {_interval(row['pooled'])} | {row['models']} |"
        )
    return "\n".join(lines) + "\n"


def _interval(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return ""
    return f"{value['value']:+.2f} [{value['low']:+.2f}, {value['high']:+.2f}]"
