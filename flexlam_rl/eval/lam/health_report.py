"""The health report as a page with pictures."""

from pathlib import Path
from typing import Any

from PIL import Image

from flexlam_rl.eval.lam.failure_checks import MEASURES, measure_of
from flexlam_rl.eval.lam.metrics import Transitions
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.pictures import write_figure

_COLOURS = {"codes": "tab:blue", "shuffled": "tab:orange", "random": "tab:red", "null": "tab:gray"}
_SHEET_ROWS = 4

_TEXT = {
    "good": (
        "No known failure was found: the codes describe what happened between two frames, and predict the actions."
    ),
    "doubtful": "The model works, but something is lost; see the warnings.",
    "bad": "The model cannot be used as an interface to actions; see the failures.",
}


def write(figures: dict[str, Any], lam: SlotModel, data: Transitions, out: Path) -> None:
    """Write README.md and its pictures into `out`.

    Args:
        figures: Figures of `health.examine`, with "checkpoint", "data", "seed" and "seconds".
        lam: Model for the sheet of decodings.
        data: Transitions for that sheet.
        out: An existing folder.
    """
    import matplotlib

    matplotlib.use("Agg")
    _curves(figures, out / "curves.png")
    _slots(figures, out / "slots.png")
    if isinstance(lam, PixelModel):
        _sheet(lam, data, out / "sheet.png")
    write_atomically(out / "README.md", page(figures).encode())


def page(figures: dict[str, Any]) -> str:
    """Write the page as Markdown."""
    data = figures["data"]
    drawn = "psnr" in figures["reconstruction"][0]
    lines = [
        f"# Health of {figures['checkpoint']}: {figures['verdict']}",
        "",
        _TEXT[figures["verdict"]],
        "",
        f"{_kind(figures)}. Measured on the {data['split']} split "
        f"of {len(data['levels'])} levels, "
        f"engine {data['engine']}: {figures['transitions']} transitions for the {figures['error']}, "
        f"{figures['with_actions']} for codes and actions, "
        f"seed {figures['seed']}, {figures['seconds']:.0f} s. docs/health.md in the repository explains every figure.",
        "",
        "## Checks",
        "",
        "| check | weight | found | figures |",
        "|---|---|---|---|",
        *(
            f"| {s['name']} | {s['weight']} | {'**yes**' if s['found'] else 'no'} | {s['reason']} |"
            for s in figures["checks"]
        ),
        "",
        "## Prediction",
        "",
        "![Error of the prediction, likeness and accuracy by budget](curves.png)",
        "",
        f"| codes | K | {figures['error']} | gain of the true codes |" + " PSNR, dB | SSIM |" * drawn,
        "|---|--:|--:|--:|" + "--:|--:|" * drawn,
    ]
    for row in figures["reconstruction"]:
        gain = f"{row['gain']:.5f} ± {row['gain_se']:.5f}"
        lines.append(
            f"| {row['codes']} | {row['k']} | {row['loss']:.5f} ± {row['loss_se']:.5f} | {gain} |"
            + (f" {row['psnr']:.2f} | {row['ssim']:.4f} |" if drawn else "")
        )
    if drawn:
        lines.append(f"| (current frame) | | | | {figures['still']['psnr']:.2f} | {figures['still']['ssim']:.4f} |")
    lines += ["", "Rows of the true codes show their gain over shuffled ones."]
    if drawn:
        lines += ["", "![Frame, next frame, decodings at growing K](sheet.png)"]
    lines += _action_tables(figures)
    lines += [
        "",
        "## Use of the codes",
        "",
        "![Use, importance and gradient by slot](slots.png)",
        "",
        _use(figures["usage"]),
        "",
        "| part | gradient norm |",
        "|---|--:|",
        *(f"| {part} | {norm:.2e} |" for part, norm in figures["gradient"]["norm"].items()),
    ]
    return "\n".join(lines) + "\n"


def _kind(figures: dict[str, Any]) -> str:
    """Describe the model in words: its class, slots and quantizer."""
    name = {"LAM": "FlexLAM" if figures["prefix"] else "Fixed-K"}.get(figures["model"], figures["model"])
    each = (
        f"{figures['numbers']} numbers"
        if figures["codes_per_slot"] is None
        else f"one of {figures['codes_per_slot']} codes"
    )
    slots = f"{figures['slots']} slot{'s' * (figures['slots'] > 1)}"
    return f"{name}, {slots} of {each} each (quantizer {figures['quantizer']})"


def _use(usage: dict[str, Any]) -> str:
    if "spread" in usage:
        flat = [value for slot in usage["flat"] for value in slot]
        return (
            f"{sum(flat)} of {len(flat)} numbers hold nearly the same value for all transitions; "
            f"{usage['effective']:.1f} directions share the variance of all of them."
        )
    return (
        f"Perplexity of the slots: {min(usage['perplexity']):.1f} to {max(usage['perplexity']):.1f}; "
        f"{usage['unused_share']:.1%} of all codes are used by no slot ({usage['unused_share_if_even']:.1%} expected "
        "of even use)."
    )


def _action_tables(figures: dict[str, Any]) -> list[str]:
    if "probe" not in figures:
        return ["", "No actions are recorded with these rollouts, so nothing is said about them."]
    name = measure_of(figures["probe"])
    lines = ["", "## Actions, read linearly", "", f"| from | K | {MEASURES[name]} |", "|---|--:|--:|"]
    lines += [f"| {r['from']} | {r['k'] or ''} | {r[name]:.3f} ± {r[f'{name}_se']:.3f} |" for r in figures["probe"]]
    if "translation" in figures:
        lines += [
            "",
            "## Translator",
            "",
            "K = 0 is the translator on the previous action alone. Recall is the mean over actions, however rare.",
            "",
            f"| codes | K | loss | {MEASURES[name]} | recall |",
            "|---|--:|--:|--:|--:|",
        ]
        for r in figures["translation"]:
            hit = f"{r[name]:.3f} ± {r[f'{name}_se']:.3f}"
            recall = f"{r['recall']:.3f}" if "recall" in r else ""
            lines.append(f"| {r['codes']} | {r['k']} | {r['loss']:.4f} ± {r['loss_se']:.4f} | {hit} | {recall} |")
        lines += _confusion_table([r for r in figures["translation"] if r["codes"] == "codes" and "confusion" in r])
        lines += _recall_table([r for r in figures["translation"] if r["codes"] == "codes" and "recalls" in r])
    return lines


def _recall_table(rows: list[dict[str, Any]]) -> list[str]:
    """Write the recall of each action at each budget."""
    if not rows:
        return []
    heads = [f"K = {r['k']}" for r in rows]
    lines = ["", f"| recall of action | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    return lines + [
        f"| {action} | {' | '.join(format(r['recalls'][action], '.3f') for r in rows)} |"
        for action in rows[0]["recalls"]
    ]


def _confusion_table(rows: list[dict[str, Any]]) -> list[str]:
    """Write the three actions that each action is most often decoded as, at the smallest and the largest budget."""
    if not rows:
        return []
    ends = [rows[0], rows[-1]] if len(rows) > 1 else rows
    heads = " | ".join(f"decoded as, K = {row['k']}" for row in ends)
    lines = ["", f"| action | {heads} |", f"|---|{'---|' * len(ends)}"]
    for action in ends[0]["confusion"]:
        cells = []
        for row in ends:
            shares = row["confusion"][action]
            most = sorted(range(len(shares)), key=lambda i: -shares[i])[:3]
            cells.append(", ".join(f"{i}: {shares[i]:.2f}" for i in most if shares[i] > 0))
        lines.append(f"| {action} | {' | '.join(cells)} |")
    return lines


def _curves(figures: dict[str, Any], path: Path) -> None:
    import matplotlib.pyplot as plt

    panels = [("reconstruction", "loss", figures["error"])]
    if "psnr" in figures["reconstruction"][0]:
        panels += [("reconstruction", "psnr", "PSNR, dB"), ("reconstruction", "ssim", "SSIM")]
    if "translation" in figures:
        name = measure_of(figures["translation"])
        panels.append(("translation", name, f"translator {MEASURES[name]}"))
    fig, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.0), layout="constrained", squeeze=False)
    for axis, (table, key, title) in zip(axes[0], panels, strict=True):
        for kind, colour in _COLOURS.items():
            rows = sorted((row for row in figures[table] if row["codes"] == kind), key=lambda row: row["k"])
            if not rows:
                continue
            if kind == "null":
                axis.axhline(rows[0][key], color=colour, linestyle="--", label="K = 0")
                continue
            values, k = [row[key] for row in rows], [row["k"] for row in rows]
            axis.plot(k, values, "o-", color=colour, label=kind, markersize=3)
            if f"{key}_se" in rows[0]:
                width = [2 * row[f"{key}_se"] for row in rows]
                axis.fill_between(
                    k,
                    [v - w for v, w in zip(values, width, strict=True)],
                    [v + w for v, w in zip(values, width, strict=True)],
                    color=colour,
                    alpha=0.2,
                )
        if key in figures["still"]:
            axis.axhline(figures["still"][key], color="black", linestyle=":", label="current frame")
        axis.set_xscale("log", base=2)
        axis.set_xticks(k := sorted({row["k"] for row in figures[table] if row["k"]}), [str(x) for x in k])
        axis.set_xlabel("K")
        axis.set_title(title, fontsize=10)
    axes[0][-1].legend(fontsize=7)
    write_figure(path, fig, 100)
    plt.close(fig)


def _slots(figures: dict[str, Any], path: Path) -> None:
    import matplotlib.pyplot as plt

    usage = figures["usage"]
    used = (
        ("spread of the numbers, mean", [sum(slot) / len(slot) for slot in usage["spread"]])
        if "spread" in usage
        else ("perplexity of the codes", usage["perplexity"])
    )
    series = {
        used[0]: used[1],
        "loss added by a wrong code": figures["importance"],
        "gradient at the slot": figures["gradient"]["by_slot"],
    }
    fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
    for axis, (title, values) in zip(axes, series.items(), strict=True):
        axis.bar(range(1, len(values) + 1), values, color="tab:blue")
        axis.set_xlabel("slot")
        axis.set_title(title, fontsize=10)
    write_figure(path, fig, 100)
    plt.close(fig)


def _sheet(lam: PixelModel, data: Transitions, path: Path) -> None:
    from flexlam_rl.models.flexlam.sheets import prefix_sheet

    few = data[:_SHEET_ROWS]
    prefix_sheet(lam, few.obs, few.next_obs, path)
    # 256 colors suffice for a sheet, at a fifth of the size
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
