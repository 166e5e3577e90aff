"""Contrasts, which are named before anything is run, and their evaluation.

The unit is the training seed: each seed gives one difference of two columns, and the interval is Student's t over these
differences.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexlam_rl.eval.studies.alignment_report import interval
from flexlam_rl.eval.studies.matched.variants import column
from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain

COMMITTED = Path(__file__).with_name("contrasts.json")
"""File of the contrasts of the preset `study`."""
METRICS = {
    "latents": {"accuracy": "translator accuracy", "recall": "mean recall of actions"},
    "oracle": {"iqm": "interquartile mean", "mean": "mean of levels"},
    "chain": {"iqm": "interquartile mean", "mean": "mean of levels"},
}
"""Metrics of each layer, for which more is better; returns are in percent of the expert's."""
ENOUGH = 3
"""Smallest number of seeds for a claim."""
KINDS = ("standard", "narrow")


@dataclass(frozen=True)
class Contrast(Plain):
    """A contrast: the difference of two columns in one setting."""

    layer: str
    labels: str
    amount: int
    """Number of labels, in multiples of the paper's share."""
    metric: str
    first: str
    second: str
    margin: float
    """Margin by which the first column may be lower and still count as no worse."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, expected in (
            ("layer", self.layer, tuple(METRICS)),
            ("labels", self.labels, KINDS),
            ("metric", self.metric, tuple(METRICS.get(self.layer, ()))),
        ):
            if value not in expected:
                raise ValueError(f"{name} is {value!r}; expected one of {', '.join(expected)}.")
        whole(self.amount, "amount", 1)
        real(self.margin, "margin")
        if column(self.first) == column(self.second):
            raise ValueError(f"first and second are both {self.first!r}; expected two columns.")

    @property
    def name(self) -> str:
        """Name of the contrast, in one line."""
        return f"{self.labels} labels x {self.amount}: {self.first} less {self.second}, {self.metric}"


def read_contrasts(path: Path) -> tuple[Contrast, ...]:
    """Read a file of contrasts: JSON, a list of objects with the fields of `Contrast`.

    Raises:
        ValueError: The file is missing or damaged, or an entry is not a contrast; the message names file and entry.
    """
    try:
        rows = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as contrasts: {error}.") from None
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} holds no contrasts; expected a list of objects.")
    fields = set(Contrast.__dataclass_fields__)
    found = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or set(row) != fields:
            raise ValueError(f"{path}, contrast {number}: expected an object with {', '.join(sorted(fields))}.")
        try:
            found.append(Contrast(**row))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, contrast {number}: {error}") from None
    settings = [(c.layer, c.labels, c.amount, c.first, c.second) for c in found]
    for number, setting in enumerate(settings, 1):
        if setting in settings[: number - 1]:
            raise ValueError(f"{path}, contrast {number}: its two columns are compared before; expected one metric.")
    return tuple(found)


def evaluate(
    contrast: Contrast, rows: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Compute a contrast from measured rows.

    Args:
        contrast: The contrast.
        rows: Measured rows, with layer, labels, amount, model, budget, seed and the metric.
        others: Rows of the second column, if it is from another study.

    Returns:
        The contrast's fields, with "seeds" (those that have both columns), "differences" (one per seed), "difference"
        (their mean), "low" and "high" (its 95% interval; None below two seeds), and "verdict".
    """
    sides = []
    for text, measured in ((contrast.first, rows), (contrast.second, rows if others is None else others)):
        model, budget = column(text)
        sides.append(
            {
                row["seed"]: row[contrast.metric]
                for row in measured
                if (row["layer"], row["labels"], row["amount"]) == (contrast.layer, contrast.labels, contrast.amount)
                and (row["model"], row["budget"]) == (model.name, budget)
            }
        )
    seeds = sorted(sides[0].keys() & sides[1].keys())
    gaps = [sides[0][seed] - sides[1][seed] for seed in seeds]
    said: dict[str, Any] = {**vars(contrast), "seeds": seeds, "differences": gaps}
    if not gaps:
        return said | {"difference": None, "low": None, "high": None, "verdict": "not measured yet"}
    mean, half = interval(gaps)
    low, high = (None, None) if math.isnan(half) else (mean - half, mean + half)
    return said | {"difference": mean, "low": low, "high": high, "verdict": _verdict(low, high, len(gaps), contrast)}


def _verdict(low: float | None, high: float | None, seeds: int, contrast: Contrast) -> str:
    if seeds < ENOUGH or low is None or high is None:
        return f"too few seeds (expected {ENOUGH})"
    if low > 0:
        return "ahead"
    if high < 0:
        return "behind"
    return f"no worse by more than {contrast.margin:g}" if low >= -contrast.margin else "not told apart"
