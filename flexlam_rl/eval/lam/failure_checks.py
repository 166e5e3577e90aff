"""Checks for known ways in which a latent action model fails, on the figures of `metrics` and `probe`, and the verdict.

A *failure* makes the model useless as an interface to actions; a *warning* says that something is lost; a *note*
explains a figure. A difference counts if it exceeds two standard errors.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

Rows = list[dict[str, Any]]

LEAST_GAIN = 0.05
"""Smallest share by which codes must lower the loss without codes."""
DEAD_PERPLEXITY = 1.5
"""Perplexity below which a slot has nearly the same code for all transitions."""

MOST_APPEARANCE = 0.5
"""Share of the current frame's variance that may be read from codes. Some is not a fault, because the place decides
where one can walk and turn.
"""


MEASURES = {"accuracy": "accuracy", "explained": "explained variance"}


@dataclass(frozen=True)
class Check:
    """A check: the failure that it looks for, whether it was found, and the figures that show it."""

    name: str
    weight: Literal["failure", "warning", "note"]
    found: bool
    reason: str


def one(rows: Rows, **wanted: Any) -> dict[str, Any] | None:
    """Return the first row with these entries, or None."""
    return next((row for row in rows if all(row.get(key) == value for key, value in wanted.items())), None)


def of_codes(figures: dict[str, Any]) -> list[Check]:
    """Make the checks of the figures that need no actions.

    Args:
        figures: "slots", "prefix", "reconstruction", "still", "importance", "usage", "gradient" and "appearance", as
            `health` collects them.
    """
    rows, m = figures["reconstruction"], figures["slots"]
    true = sorted((row for row in rows if row["codes"] == "codes"), key=lambda row: row["k"])
    full = true[-1]
    without = one(rows, codes="null") or one(rows, codes="shuffled", k=m)
    assert without is not None
    gain = (without["loss"] - full["loss"]) / without["loss"]
    name, error = "no code" if without["codes"] == "null" else "shuffled codes", figures.get("error", "flow loss")
    checks = [
        Check(
            "codes carry nothing", "failure", not gain >= LEAST_GAIN,
            f"{error} {without['loss']:.4f} with {name}, {full['loss']:.4f} with all {m}: {gain:.1%} less (at least "
            f"{LEAST_GAIN:.0%} expected)",
        ),
        Check(
            "codes of other transitions do as well", "failure", not full["gain"] > 2 * full["gain_se"],
            f"true codes lower the loss by {full['gain']:.4f} ± {full['gain_se']:.4f} against those of other "
            "transitions",
        ),
        Check(
            "gradient does not reach all parameters", "failure", bool(figures["gradient"]["without"]),
            f"{len(figures['gradient']['without'])} tensors without gradient" + _list(figures["gradient"]["without"]),
        ),
    ]  # fmt: skip
    if "psnr" in full:
        checks.append(Check(
            "decoded frames are no nearer than the current frame", "warning", full["psnr"] <= figures["still"]["psnr"],
            f"PSNR {full['psnr']:.2f} dB for decoded frames, {figures['still']['psnr']:.2f} dB for the current frame "
            "taken for the next",
        ))  # fmt: skip
    if figures["prefix"] and m > 1:
        checks += _of_order(true, without, figures["importance"], error)
    return checks + _of_usage(figures)


def _of_order(true: Rows, without: dict[str, Any], importance: list[float], error: str) -> list[Check]:
    whole = without["loss"] - true[-1]["loss"]
    # `drop` is paired by transition: by how much the loss falls from the previous budget
    rises = [(a["k"], b["k"]) for a, b in pairwise(true) if b["drop"] < -max(2 * b["drop_se"], 0.02 * abs(whole))]
    quarter = max(1, len(importance) // 4)
    front, back = sum(importance[:quarter]) / quarter, sum(importance[-quarter:]) / quarter
    # without a gain, there is no share of it
    late = (true[0]["loss"] - true[-1]["loss"]) / whole if whole > LEAST_GAIN * without["loss"] else 1.0
    return [
        Check(
            "more slots do harm", "warning", bool(rises),
            f"the {error} rises from K = " + ", ".join(f"{a} to {b}" for a, b in rises) if rises
            else f"the {error} falls with K throughout",
        ),
        Check(
            "slots are not ordered", "warning", not front > back,
            f"a wrong code costs {front:.5f} in the first {quarter} slots, {back:.5f} in the last {quarter}",
        ),
        Check(
            "later slots carry nothing", "note", late < 0.02,
            f"{late:.1%} of the whole gain comes after the first slot",
        ),
    ]  # fmt: skip


def _of_usage(figures: dict[str, Any]) -> list[Check]:
    appearance = figures["appearance"]
    checks = _of_numbers(figures) if "spread" in figures["usage"] else _of_codes_used(figures)
    return [
        *checks,
        Check(
            "codes tell appearance instead of motion", "warning",
            appearance["current_r2"] > max(appearance["change_r2"], MOST_APPEARANCE),
            f"read linearly out of the codes: {appearance['current_r2']:.2f} of the variance of the current picture, "
            f"{appearance['change_r2']:.2f} of that of the change",
        ),
    ]  # fmt: skip


def _of_codes_used(figures: dict[str, Any]) -> list[Check]:
    usage = figures["usage"]
    dead = [i + 1 for i, value in enumerate(usage["perplexity"]) if value < DEAD_PERPLEXITY]
    excess = usage["unused_share"] - usage["unused_share_if_even"]
    checks = _dead_slots(dead, figures["slots"], f"have a perplexity below {DEAD_PERPLEXITY}")
    if "digit_perplexity" in usage:
        flat = sum(value < 1.05 for slot in usage["digit_perplexity"] for value in slot)
        digits = sum(len(slot) for slot in usage["digit_perplexity"])
        checks.append(Check(
            "dead FSQ dimensions", "warning", flat > digits / 2,
            f"{flat} of {digits} FSQ dimensions, over all slots, hold one value nearly always",
        ))  # fmt: skip
    checks.append(Check(
        "dead codes", "note", excess > 0.5,
        f"{usage['unused_share']:.1%} of all codes are used by no slot ({usage['unused_share_if_even']:.1%} expected "
        "of even use)",
    ))  # fmt: skip
    return checks


def _of_numbers(figures: dict[str, Any]) -> list[Check]:
    flat = figures["usage"]["flat"]
    dead = [i + 1 for i, slot in enumerate(flat) if all(slot)]
    total, among = sum(map(sum, flat)), sum(map(len, flat))
    return [
        *_dead_slots(dead, figures["slots"], "hold the same numbers for all transitions"),
        Check(
            "dead numbers", "warning", among / 2 < total < among,
            f"{total} of {among} numbers hold nearly the same value for all transitions; "
            f"{figures['usage']['effective']:.1f} directions share the variance",
        ),
    ]  # fmt: skip


def _dead_slots(dead: list[int], slots: int, what: str) -> list[Check]:
    said = f"{len(dead)} of {slots} slots {what}"
    return [
        Check("all slots are dead", "failure", len(dead) == slots, said),
        Check("some slots are dead", "warning", 0 < len(dead) < slots, said + _list(dead)),
    ]


def of_actions(figures: dict[str, Any]) -> list[Check]:
    """Make the checks of the figures on known actions: "probe" and, if there is a translator, "translation"."""
    probe = figures["probe"]

    def read(*names: str) -> Rows:
        return [row for row in probe if row["from"] in names]

    checks = [
        _above(
            "actions cannot be read linearly out of the codes",
            read("codes"),
            read("shuffled", "commonest action"),
            "linear probe",
        ),
        _above(
            "codes add nothing to the previous action",
            read("codes + previous action"),
            read("previous action"),
            "linear probe",
        ),
    ]
    rows = figures.get("translation")
    if not rows:
        return checks
    measure = measure_of(rows)
    true = [row for row in rows if row["codes"] == "codes"]
    best = max(true, key=lambda row: row[measure])
    # the null row is the translator with only the previous action
    others = [
        {**row, "from": f"{row['codes']} codes"}
        for row in rows
        if row["codes"] != "codes" and row["k"] in (0, best["k"])
    ]
    others += [row for row in figures["probe"] if row["from"] == "commonest action"]
    checks.append(_above("the translator is no better than its controls", true, others, "translator"))
    last = max(true, key=lambda row: row["k"])
    fall, error = best[measure] - last[measure], (best[f"{measure}_se"] ** 2 + last[f"{measure}_se"] ** 2) ** 0.5
    beside = "" if best is last else f", {last[measure]:.3f} at K = {last['k']}"
    checks.append(Check(
        "short prefixes align better", "note", fall > 2 * error,
        f"translator {MEASURES[measure]} {best[measure]:.3f} at K = {best['k']}{beside}",
    ))  # fmt: skip
    return checks


def measure_of(rows: Rows) -> str:
    """Name the figure in rows about actions: "accuracy" for discrete actions, "explained" for continuous ones."""
    return next(name for name in MEASURES if name in rows[0])


def _above(name: str, rows: Rows, controls: Rows, what: str) -> Check:
    measure = measure_of(rows)
    best = max(rows, key=lambda row: row[measure])
    other = max(controls, key=lambda row: row[measure])
    gap = best[measure] - other[measure]
    error = (best[f"{measure}_se"] ** 2 + other[f"{measure}_se"] ** 2) ** 0.5
    reason = (
        f"{what}: {MEASURES[measure]} {best[measure]:.3f} at K = {best['k']}, best control {other[measure]:.3f} "
        f"({other['from']})"
    )
    return Check(name, "failure", not gap > 2 * error, reason)


def verdict(checks: list[Check]) -> str:
    """Return "bad" with any failure, "doubtful" with any warning, else "good"."""
    weights = {check.weight for check in checks if check.found}
    return "bad" if "failure" in weights else "doubtful" if "warning" in weights else "good"


def _list(things: list[Any]) -> str:
    return f": {', '.join(map(str, things[:5]))}{', ...' if len(things) > 5 else ''}" if things else ""
