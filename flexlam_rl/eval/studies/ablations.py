"""`flexlam study ablations RUN --data DIR --out DIR`: measure what the translator should see, and how labels are used
best, for growing numbers of labels.

On one trained LAM, with the same labels, test split and budgets (paper, section 6.3 and appendix D.1), it compares:

- the translator on the codes alone, with the previous action, with the current frame, and with both;
- joint alignment, which also trains the encoder on the action loss, beside the frozen LAM;
- the inverse dynamics model, which has only the labels and no codes.

A killed study continues with the same command; more seeds or label counts extend a finished one.
"""

import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import tyro

from flexlam_rl.eval.studies.alignment_report import interval
from flexlam_rl.eval.studies.study import Study, StudyDefinition, StudyOptions
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.number_lists import number_list
from flexlam_rl.utils.options import free
from flexlam_rl.utils.tabular import csv_bytes

# name in the report -> stage and conditioning
CASES: dict[str, tuple[str, str]] = {
    "codes alone": ("translator", "slots"),
    "codes, previous action": ("translator", "slots+action"),
    "codes, frame": ("translator", "slots+frame"),
    "codes, previous action, frame": ("translator", "slots+action+frame"),
    "joint alignment": ("joint", "slots+action"),
    "inverse dynamics": ("idm", "slots+action"),
}
METRICS = ("loss", "accuracy")


@dataclass(frozen=True)
class Options(StudyOptions):
    """Compare translator conditioning, joint alignment and inverse dynamics on one LAM, as labels grow."""

    lam: tyro.conf.Positional[Path]
    """Run with the trained LAM."""
    data: Path
    """Folder of the rollouts (a training and a test split)."""
    out: Path
    """Folder of the study; the same command continues a stopped one in it."""
    preset: Literal["paper", "small", "tiny", "study", "debug"] = "tiny"
    """Preset of lengths and rates, and of the inverse dynamics model's size."""
    label_counts: str = "100,400,4000"
    """Numbers of labels, including those for validation."""
    budgets: str = "1,16"
    """Budgets K to measure at."""
    seeds: int = 3
    """Number of seeds; a seed determines labels, weights and order."""
    steps: int | None = None
    """Number of steps of every case, instead of the preset's."""
    held_out: int = 4000
    """Number of transitions of the test split that every case is measured on."""
    device: str = field(default="cpu", metadata=free())
    precision: Literal["fp32", "bf16"] | None = None


@dataclass(frozen=True)
class Job:
    """One training of the study."""

    seed: int
    labels: int
    case: str

    @property
    def name(self) -> str:
        """Name of its folder and its result: joint-alignment-400-seed0."""
        return f"{self.case.replace(', ', '-').replace(' ', '-')}-{self.labels}-seed{self.seed}"

    @property
    def kind(self) -> str:
        """Name of the stage that it trains."""
        return CASES[self.case][0]


def jobs(options: Options, counts: list[int]) -> Iterator[Job]:
    """Return all jobs, seed by seed, so that a stopped study has whole comparisons."""
    return (Job(seed, labels, case) for seed in range(options.seeds) for labels in counts for case in CASES)


def best(job: Job, options: Options) -> Path:
    """Return the folder of the job's best checkpoint."""
    return options.out / "runs" / job.name / CASES[job.case][0] / "best"


def train(job: Job, options: Options) -> None:
    """Train a job; a finished one returns at once."""
    from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage

    stage, conditioning = CASES[job.case]
    folder = options.out / "runs" / job.name
    args = TrainArgs(
        data=options.data,
        out=folder,
        preset=options.preset,
        labels=f"ablation-{job.labels}-seed{job.seed}",
        label_count=job.labels,
        seed=job.seed,
        device=options.device,
        steps=options.steps,
        precision=options.precision,
        lam_run=options.lam,
    )
    train_stage(stage, replace(args, conditioning=conditioning))  # type: ignore[arg-type]


def measure(
    job: Job, folder: Path, options: Options, budgets: list[int], data: Any, frozen: Any, codes: Any
) -> list[dict[str, Any]]:
    """Measure a trained case: one row per budget, or a single row for the inverse dynamics model.

    Args:
        job: The job.
        folder: Folder of its best checkpoint.
        options: Options of the study.
        budgets: Values of K.
        data: Transitions of the test split.
        frozen: The frozen LAM.
        codes: Codes of the frozen LAM on `data`.
    """
    from flexlam_rl.eval.lam import metrics
    from flexlam_rl.eval.studies.trained_models import load_lam, load_model
    from flexlam_rl.models.baselines.idm import IDM
    from flexlam_rl.models.flexlam.translator import Translator

    head = {"case": job.case, "labels": job.labels, "seed": job.seed}
    if CASES[job.case][0] == "idm":
        model = load_model(IDM, folder, "idm", options.device)
        return [head | {"budget": None} | metrics.direct(model, data, ("obs", "next_obs", "previous"))]
    if CASES[job.case][0] == "joint":
        frozen = load_lam(folder, options.device)
        codes = metrics.encode(frozen, data)
    translator = load_model(Translator, folder, "translator", options.device)
    return [head | {"budget": k} | metrics.translate(translator, frozen, data, codes, k) for k in budgets]


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options do not fit each other or the data.
        CheckpointError: The run has no LAM.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.lam import metrics
    from flexlam_rl.eval.lam.health import load_transitions
    from flexlam_rl.eval.studies.clock import seconds_per_step
    from flexlam_rl.eval.studies.trained_models import load_lam, only_choices
    from flexlam_rl.models.flexlam.recipes import RECIPES

    lam = load_lam(options.lam, options.device)
    counts = sorted(number_list("label_counts", options.label_counts, 1))
    budgets = sorted(number_list("budgets", options.budgets, 1, lam.config.slots))
    if options.seeds < 1:
        raise ValueError(f"seeds is {options.seeds}; at least 1 is needed.")
    test = open_rollouts(options.data, split="test")
    data = load_transitions(test, options.held_out, seed=0, labelled=True)
    if data.action is None:
        raise ValueError(f"the rollouts in {options.data} have no actions; the ablations need them.")
    only_choices(test, "ablations")
    data = data.to(options.device)
    frozen_codes = functools.cache(lambda: metrics.encode(lam, data))

    recipe = RECIPES[options.preset]
    return Study(
        title="ablations",
        jobs=list(jobs(options, counts)),
        train=lambda job: train(job, options),
        measure=lambda job: measure(job, best(job, options), options, budgets, data, lam, frozen_codes()),
        report=lambda: write(options.out),
        out=options.out,
        # later commands may ask for more seeds and label counts
        config=replace(options, seeds=0, label_counts="", data=Path(), out=Path()),
        steps=lambda job: options.steps or getattr(recipe, job.kind).steps,
        guesses=seconds_per_step(options.preset, options.device),
    )


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compute one row per case, budget and number of labels: mean and half width of the 95% interval (Student's t over
    seeds) of each metric.
    """
    order = list(CASES)
    keys = sorted({(order.index(r["case"]), r["budget"] or 0, r["labels"]) for r in rows})
    table = []
    for case, budget, labels in keys:
        here = [r for r in rows if (r["case"], r["budget"] or 0, r["labels"]) == (order[case], budget, labels)]
        entry: dict[str, Any] = {"case": order[case], "budget": budget or None, "labels": labels, "seeds": len(here)}
        for metric in METRICS:
            entry[metric], entry[f"{metric}_half_width"] = interval([r[metric] for r in here])
        table.append(entry)
    return table


def markdown(table: list[dict[str, Any]]) -> str:
    """Write accuracy and loss on the test split: one line per case and budget, one column per number of labels."""
    counts = sorted({e["labels"] for e in table})
    parts = []
    for metric in METRICS:
        parts.append(f"Translator {metric} on the test split:\n")
        parts.append(
            "| what predicts the action | K | "
            + " | ".join(f"{n} labels" for n in counts)
            + " |\n|---|--:"
            + "|--:" * len(counts)
            + "|"
        )
        for case, budget in dict.fromkeys((e["case"], e["budget"]) for e in table):
            cells = []
            for n in counts:
                entry = next((e for e in table if (e["case"], e["budget"], e["labels"]) == (case, budget, n)), None)
                half = "" if entry is None or entry["seeds"] < 2 else f" ± {entry[f'{metric}_half_width']:.3f}"
                cells.append("" if entry is None else f"{entry[metric]:.3f}{half}")
            parts.append(f"| {case} | {budget or ''} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def write(out: Path) -> str:
    """Write results.csv, summary.json, summary.md and ablations.png, and return the Markdown."""
    from flexlam_rl.utils.files import write_atomically

    rows = [
        row for file in sorted((out / "results").glob("*.json")) for row in json.loads(file.read_text(encoding="utf-8"))
    ]
    table = summarise(rows)
    write_atomically(out / "results.csv", csv_bytes(rows))
    write_atomically(
        out / "summary.json",
        (json.dumps({"interval": "95 %, Student's t over seeds", "rows": table}, indent=1) + "\n").encode(),
    )
    page = markdown(table)
    write_atomically(out / "summary.md", page.encode())
    plot(table, out / "ablations.png")
    return page


def plot(table: list[dict[str, Any]], path: Path) -> None:
    """Draw accuracy and loss over the number of labels, with one line per case at its largest budget."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    from flexlam_rl.eval.suite.plots import save

    largest = max((e["budget"] or 0) for e in table)
    fig, axes = plt.subplots(1, len(METRICS), figsize=(9, 3.4))
    for axis, metric in zip(axes, METRICS, strict=True):
        for case in CASES:
            line = [e for e in table if e["case"] == case and e["budget"] in (None, largest)]
            half = [np.nan_to_num(e[f"{metric}_half_width"]) for e in line]
            axis.errorbar(
                [e["labels"] for e in line],
                [e[metric] for e in line],
                half,
                marker="o",
                markersize=3,
                capsize=3,
                label=case,
            )
        axis.set_xscale("log")
        axis.set_xlabel("labels")
        axis.set_title(f"{metric} on the test split, K = {largest}", fontsize=10)
    axes[0].legend(fontsize=8)
    save(fig, path)


STUDY = StudyDefinition(Options, plan, "what the translator should see, and how labels are used best, as labels grow")
run = STUDY.run

if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "flexlam study ablations"))
