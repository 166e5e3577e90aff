"""Train the priors for equal processor time on the codes of one LAM, and compare them on the same held-out decisions.

Each contender first takes a few steps, whose speed determines how many steps its time allows; it then trains anew for
that many, by its recipe. All are evaluated on the same windows: cross-entropy of every decision in them, averaged over
the stride's phases. Processor time is used because other jobs on the machine distort it less.

Usage: python benchmarks/priors.py DATA --lam FOLDER --seconds 600 [--json FILE]
"""

import argparse
import datetime
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from flexlam_rl.datasets import open_rollouts
from flexlam_rl.models.flexlam.cached_codes import stored_codes
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.priors import PRIORS, PriorName
from flexlam_rl.models.flexlam.recipes import RECIPES, Recipe
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.nn.pretrained import model_digest
from flexlam_rl.train.data import CurriculumSource, held_out_windows
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.trainer import run

CONTENDERS: dict[str, tuple[PriorName, int | None]] = {
    "interleaved": ("interleaved", None),
    "factored, 64 frames": ("factored", 64),
    "factored, 2 frames": ("factored", 2),
}
"""Contenders: a prior, and its number of context frames; None for the preset's."""
TRIAL = 6
"""Number of steps whose speed determines the length of the training."""


class Contest:
    """What all contenders share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.recipe: Recipe = RECIPES[options.preset]
        self.seed = options.seed
        self.lam = LAM.from_pretrained(options.lam)
        self.train = open_rollouts(options.data, options.tasks, "train")
        self.held_out = held_out_windows(open_rollouts(options.data, options.tasks, "test"), options.windows, 65)
        began = time.process_time()
        self.codes = stored_codes(self.lam, model_digest(options.lam), self.train)
        self.encoding = time.process_time() - began

    def stage(self, prior: PriorName, context: int | None) -> tuple[SequenceStage, Any]:
        """Make a fresh stage with its loop."""
        torch.manual_seed(self.seed)
        shape: dict[str, Any] = {"slots": self.lam.config.slots, "codes": self.lam.code_count}
        if prior == "factored":
            loop, long = self.recipe.factored, (context or self.recipe.factored_sizes.frames) + 1
            # the same number of decisions per step for every context
            decisions = loop.batch * self.recipe.factored_sizes.frames
            short = min(self.recipe.factored_short, long)
            model = PRIORS[prior].model(replace(self.recipe.factored_sizes, **shape, frames=long - 1))
            source = CurriculumSource(
                self.train, decisions // (short - 1), short, long, 10**9, self.seed, codes=self.codes,
                long_batch=decisions // (long - 1),
            )  # fmt: skip
        else:
            loop, short = self.recipe.sequence, self.recipe.short_frames
            model = PRIORS[prior].model(replace(self.recipe.sizes.sequence, **shape, frames=short - 1))
            source = CurriculumSource(self.train, loop.batch, short, short, 10**9, self.seed, codes=self.codes)
        return SequenceStage(model, self.lam, source, self.held_out, self.recipe.targets), loop

    def curriculum(self, stage: SequenceStage, steps: int) -> None:
        """Let the last steps see whole contexts, as in the recipe."""
        source: Any = stage.source
        source.short_steps = stage.grows_at = int(steps * (1 - self.recipe.factored_long_share))

    def train_for(self, name: str, seconds: float, folder: Path) -> dict[str, float]:
        """Train a contender, and return its figures on the held-out windows."""
        marks: list[float] = []
        stage, loop = self.stage(*CONTENDERS[name])
        loop = loop_config(loop, StageOptions(Path(), folder, seed=self.seed), folder)
        often = {"eval_every": 10**9, "save_every": 10**9}
        trial = replace(loop, steps=TRIAL, warmup=1, **often)
        run(stage, trial, folder / "trial", lambda step: marks.append(time.process_time()))
        # the last step includes the evaluation; the first two warm up
        each = (marks[-2] - marks[1]) / (TRIAL - 3)
        steps = max(TRIAL, int(seconds / each))
        stage, _ = self.stage(*CONTENDERS[name])
        if CONTENDERS[name][0] == "factored":
            self.curriculum(stage, steps)
        began, spent = time.process_time(), 0.0

        def note(step: int) -> None:
            nonlocal spent
            if step == steps - 1:
                spent = time.process_time() - began

        figures = run(stage, replace(loop, steps=steps, warmup=min(loop.warmup, steps // 10), **often), folder, note)
        source: Any = stage.source
        used = source.sources[0]
        decisions = used.batches.batch_size * (used.span - 1)
        loss = stage.losses(loop.device)[0]
        slots = [round(float(value), 3) for value in loss]
        return {**figures, "slots": slots, "seconds": spent, "steps": steps, "decisions_per_step": decisions}


def main() -> None:
    """Train all priors, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--lam", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--tasks", nargs="+")
    parser.add_argument("--preset", default="tiny", choices=list(RECIPES))
    parser.add_argument("--windows", type=int, default=32, help="held-out windows of 65 frames")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    contest = Contest(options)
    result: dict[str, Any] = {
        "seconds": options.seconds, "tasks": options.tasks, "preset": options.preset, "seed": options.seed,
        "train_steps": contest.train.steps, "held_out_decisions": 64 * options.windows,
        "seconds_encoding": contest.encoding, "date": datetime.date.today().isoformat(),
        "torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()[0], "rows": {},
    }  # fmt: skip
    for name in options.contenders:
        with tempfile.TemporaryDirectory() as folder:
            result["rows"][name] = contest.train_for(name, options.seconds, Path(folder))
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(
        "| prior | steps | processor s | loss | all codes | first code | accuracy, first |\n"
        "|---|--:|--:|--:|--:|--:|--:|"
    )
    for name, row in result["rows"].items():
        print(
            f"| {name} | {row['steps']} | {row['seconds']:.0f} | {row['loss']:.3f} | {row['loss_all']:.3f} | "
            f"{row['loss_first']:.3f} | {row['accuracy_first']:.3f} |"
        )


if __name__ == "__main__":
    main()
