"""The table that corresponds to table 1, and the paper's claims tested over training seeds."""

from typing import Any

import numpy as np

from flexlam_rl.eval.studies.over_seeds import claim_line
from flexlam_rl.eval.studies.study import Rows, Study
from flexlam_rl.models.lamo.collapse import signs_of_collapse


def report(study: Study[Any], options: Any) -> str:
    """Write results.json and summary.md of the jobs so far, and return the summary."""
    rows = study.rows()
    parts = [
        f"# Motion against states: {options.preset}, {options.clips} held-out clips, one sample each",
        "\n".join(_table(rows, options)), "\n".join(_claims(rows, options)), "\n".join(_health(rows)),
    ]  # fmt: skip
    page = "\n\n".join(part for part in parts if part)
    study.write(rows, page)
    return page


def _kinds(options: Any) -> list[tuple[str, str, int | None]]:
    """Return the title, the arm and the number of steps of each row of the table."""
    flows = [(f"flow, {steps} steps", "flow", steps) for steps in options.steps]
    most = max(options.steps)
    repeated = ("last frame repeated", "repeat", None)
    return [repeated, (f"states (flow, {most} steps)", "state", most), ("mixture", "mixture", None), *flows]


def _values(rows: Rows, arm: str, steps: int | None, horizon: int, measure: str) -> dict[int, float]:
    """Return a measure by seed."""
    return {
        row["seed"]: row[measure]
        for row in rows
        if (row["arm"], row.get("steps"), row.get("horizon")) == (arm, steps, horizon)
    }


def _table(rows: Rows, options: Any) -> list[str]:
    distance = _distance(options)
    heads = " | ".join(f"{horizon} ahead" for horizon in options.horizons)
    lines = [f"Each cell: {distance} / PSNR / SSIM, mean over seeds.", "", f"| | seeds | {heads} | ms per frame |"]
    lines.append("|---" * (3 + len(options.horizons)) + "|")
    for title, arm, steps in _kinds(options):
        cells, seeds = [], 0
        speeds = [
            row["ms_per_frame"] for row in rows if (row["arm"], row.get("steps")) == (arm, steps) and arm != "repeat"
        ]
        for horizon in options.horizons:
            found = [_values(rows, arm, steps, horizon, name) for name in (distance, "psnr", "ssim")]
            seeds = len(found[0])
            if seeds:
                far, psnr, ssim = (np.mean(list(values.values())) for values in found)
                cells.append(f"{far:.1f} / {psnr:.2f} / {ssim:.4f}")
        if seeds:
            count, speed = (str(seeds), f"{np.mean(speeds):.1f}") if speeds else ("", "")
            lines.append(f"| {title} | {count} | {' | '.join(cells)} | {speed} |")
    return lines if len(lines) > 4 else []


def _claims(rows: Rows, options: Any) -> list[str]:
    """Write each claim of the paper as a difference with its interval over seeds, and whether it was confirmed."""
    far, most, distance = max(options.horizons), max(options.steps), _distance(options)
    flow, mixture, state = ("flow", most), ("mixture", None), ("state", most)
    claims = [
        (f"flow ahead of states in PSNR, {far} ahead", "psnr", flow, state, 1),
        (f"flow ahead of states in {distance}, {far} ahead", distance, flow, state, -1),
        (f"mixture ahead of flow in PSNR, {far} ahead", "psnr", mixture, flow, 1),
        (f"flow ahead of mixture in {distance}, {far} ahead", distance, flow, mixture, -1),
    ]
    if 20 in options.steps and most > 20:
        claims.append((f"20 steps less far than {most} in {distance}, {far} ahead", distance, ("flow", 20), flow, -1))
    lines = []
    for title, measure, one, other, sign in claims:
        first, second = (_values(rows, *arm, far, measure) for arm in (one, other))
        lines += claim_line(title, first, second, sign)
    return lines


def _health(rows: Rows) -> list[str]:
    """Describe what each seed's Midway has learned, and signs of collapse."""
    lines = []
    for row in rows:
        if row["arm"] != "midway":
            continue
        explained = ", ".join(f"{row[name]:.3f}" for name in sorted(row) if name.startswith("explained_"))
        signs = signs_of_collapse(row) or ["No sign of collapse."]
        lines.append(
            f"- Midway, seed {row['seed']}: share of the change explained per level {explained}. {' '.join(signs)}"
        )
    return lines


def _distance(options: Any) -> str:
    from flexlam_rl.eval.video.extractors import make_extractor

    return f"frechet-{make_extractor(options.extractor).name}"
