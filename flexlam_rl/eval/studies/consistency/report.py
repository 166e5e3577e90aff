"""Tables, curves, sheets and videos of a consistency study.

Shapes: N clips, T frames, C H W picture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from flexlam_rl.eval.studies.consistency.options import Job, Options, parse_protocol
from flexlam_rl.eval.studies.study import Study
from flexlam_rl.eval.suite.plots import save
from flexlam_rl.eval.video.curves import curve
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.pictures import above, beside, caption, enlarged, evenly, write_png
from flexlam_rl.utils.tabular import csv_bytes
from flexlam_rl.utils.video import write_video

_SHOWN, _SCALE = 12, 2
EXPLAINED = (
    "One sample per context. Intervals are Student's 95 %: over trainings where a model has several, else over clips. "
    "`@K`: the model is told the first K codes of each true transition, which themselves describe the next frame; "
    "with K = 0 it is told nothing. Distances carry the name of the network that they are measured with; they are "
    "neither LPIPS nor FVD. *Returning* frames are those whose view was seen in the context and left since; *new* ones "
    "were never seen, and lie about as far in the future. *Recall* is the PSNR of repeating the seen frame."
)


def report(study: Study[Job], options: Options) -> str:
    """Write results.json, curves.csv, summary.md and one plot per protocol of all results so far; return the tables."""
    assert study.out is not None
    rows = study.rows()
    parts = [f"# Consistency: {options.data or options.level}\n\n{EXPLAINED}"]
    steps: list[dict[str, Any]] = []
    for protocol in options.protocols:
        here = [row for row in rows if row["protocol"] == protocol]
        if not here:
            continue
        arms = {arm: [row for row in here if row["arm"] == arm] for arm in dict.fromkeys(row["arm"] for row in here)}
        parts += [f"## {protocol}", _table(arms), _loops(arms)]
        curves = {arm: _curves(found) for arm, found in arms.items()}
        for arm, measures in curves.items():
            for name, values in measures.items():
                ends = zip(values["mean"], values["low"], values["high"], strict=True)
                steps += [
                    {"protocol": protocol, "arm": arm, "measure": name, "step": step, "mean": m, "low": a, "high": b}
                    for step, (m, a, b) in enumerate(ends, 1)
                ]
        _plot(curves, protocol, study.out / f"curves-{protocol}.png")
    page = "\n\n".join(part for part in parts if part)
    study.write(rows, page)
    if steps:
        write_atomically(study.out / "curves.csv", csv_bytes(steps))
    return page


def _curves(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Compute an arm's curves: over its trainings if there are several, else over clips."""
    if len(rows) == 1:
        return dict(rows[0]["curves"])
    return {
        name: curve(np.array([row["curves"][name]["mean"] for row in rows])).to_json() for name in rows[0]["curves"]
    }


def _table(arms: dict[str, list[dict[str, Any]]]) -> str:
    """Write means over the horizon, and the PSNR at the first and at the last step."""
    measures, distances = (list(next(iter(arms.values()))[0][part]) for part in ("mean", "frechet"))
    head = ["model", "told", "trainings", *measures, "psnr at step 1", "psnr at the last", *distances]
    lines = [head, ["---"] * len(head)]
    for arm, rows in arms.items():
        means = [f"{np.mean([row['mean'][name] for row in rows]):.3f}" for name in measures]
        psnr = np.mean([row["curves"]["psnr"]["mean"] for row in rows], axis=0)
        frechet = [f"{np.mean([row['frechet'][name] for row in rows]):.3g}" for name in distances]
        lines.append([arm, rows[0]["told"], str(len(rows)), *means, f"{psnr[0]:.2f}", f"{psnr[-1]:.2f}", *frechet])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _loops(arms: dict[str, list[dict[str, Any]]]) -> str:
    """Write the PSNR at returning and new views; "" without poses."""
    lines = []
    for arm, rows in arms.items():
        loops = [row["loop"]["psnr"] for row in rows if "loop" in row]
        if not loops:
            return ""
        first = loops[0]
        if "difference" not in first:
            lines.append(f"| {arm} | {first['frames']} in {first['clips']} clips | | | | |")
            continue
        one = [np.mean([loop[name] for loop in loops]) for name in ("returning", "new", "difference")]
        gap = curve(np.array([loop["difference"] for loop in loops])[:, None])
        low, high = (first["low"], first["high"]) if len(loops) == 1 else (gap.low[0], gap.high[0])
        ends = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
        recall = rows[0]["recall"]
        lines.append(
            f"| {arm} | {first['frames']} in {first['clips']} clips | {one[0]:.2f} | {one[1]:.2f} "
            f"| {one[2]:+.2f}{ends} | {'' if recall is None else f'{recall:.2f}'} |"
        )
    head = (
        "| model | returning frames | their PSNR | PSNR of new views | difference | recall |\n|---|---|---|---|---|---|"
    )
    return "\n".join([head, *lines])


def _plot(curves: dict[str, dict[str, Any]], protocol: str, path: Path) -> None:
    """Draw each measure by horizon; draw nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(next(iter(curves.values())))
    figure, axes = pyplot.subplots(1, len(names), figsize=(4.2 * len(names) + 1.6, 3.2), squeeze=False)
    colors = pyplot.get_cmap("tab10" if len(curves) <= 10 else "tab20")
    for place, name in zip(axes[0], names, strict=True):
        for number, (arm, measures) in enumerate(curves.items()):
            found = measures[name]
            steps = np.arange(1, len(found["mean"]) + 1)
            place.plot(steps, found["mean"], label=arm, linewidth=1.2, color=colors(number))
            if None not in found["low"]:
                place.fill_between(steps, found["low"], found["high"], color=colors(number), alpha=0.1)
        place.set_xlabel("frames after the context")
        place.set_title(name, fontsize=9)
    context, horizon = parse_protocol(protocol)
    axes[0][-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(f"{context} frames shown, {horizon} predicted", fontsize=9)
    save(figure, path)


def show(out: Path, name: str, truth: Tensor, made: Tensor) -> None:
    """Write a sheet of two clips, with true frames above predicted ones, and a side-by-side video of the first clip."""
    for folder in ("sheets", "videos"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    picked = evenly(_SHOWN, truth.shape[1])
    rows = []
    for clip in range(min(2, len(truth))):
        for frames, who in ((truth[clip], "true"), (made[clip], "predicted")):
            rows.append(beside([caption(_picture(frames[step]), f"{who} {step + 1}") for step in picked]))
    write_png(out / "sheets" / f"{name}.png", above(rows))
    pairs = (beside([_picture(a), _picture(b)]) for a, b in zip(truth[0], made[0], strict=True))
    write_video(out / "videos" / f"{name}.mp4", pairs)


def _picture(frame: Tensor) -> np.ndarray:
    return enlarged(np.ascontiguousarray(frame.movedim(0, -1).numpy()), _SCALE)
