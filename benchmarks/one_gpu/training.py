"""Parts (d) and (f): LAM, cached codes, prior and translator, as long as the time allows; then more training seeds."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.one_gpu import collecting
from benchmarks.one_gpu.session import Session, TimeBoxOver
from benchmarks.one_gpu.throughput import quick
from benchmarks.train_throughput import ours
from flexlam_rl.agents.policy.bundle import BundleConfig, EnvironmentFacts, LabelFacts
from flexlam_rl.agents.policy.bundle_files import write_bundle
from flexlam_rl.agents.policy.bundling import action_pairs
from flexlam_rl.datasets import TransitionPairs
from flexlam_rl.datasets.permutation import Permutation
from flexlam_rl.models.flexlam.cached_codes import keep_codes
from flexlam_rl.models.flexlam.config import TranslatorConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.recipes import RECIPES, lam_config
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.models.flexlam.stages.translator import TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.train.actions import Labels, action_spec
from flexlam_rl.train.data import CurriculumSource, PairSource, held_out_pairs, held_out_windows
from flexlam_rl.train.trainer import LoopConfig
from flexlam_rl.train.trainer import run as train
from flexlam_rl.utils.provenance import revision

FSQ_LEVELS = (5, 5, 5)
SHARES = {"lam": 0.42, "sequence": 0.38}
"""Shares of a training's time; the rest is for compiling, encoding, evaluating, and the translator."""


class Training:
    """The models of a training seed, in a folder of their own; finished models are not trained again."""

    def __init__(self, session: Session, seed: int) -> None:
        self.session, self.seed, self.device = session, seed, session.device
        self.recipe = RECIPES[session.size.preset]
        self.folder = session.work / f"seed-{seed}"
        memory = collecting.frames_of(session)
        self.splits, self.share = memory["rollouts"], memory["resident"]
        self.share.columns.clear()  # removes codes of another seed's LAM

    def loop(self, stage: str, steps: int, **changes: Any) -> LoopConfig:
        """Make the recipe's loop over `steps` steps, with Muon, which is ahead after few steps."""
        tiny = RECIPES["tiny"].sequence
        rates = (
            {} if self.device == "cpu" else {"optimiser": tiny.optimiser, "lr": tiny.lr, "matrix_lr": tiny.matrix_lr}
        )
        config = quick(getattr(self.recipe, stage), self.session, steps=steps, seed=self.seed, **rates | changes)
        often = max(1, steps // 4)
        return replace(
            config, warmup=min(config.warmup, max(1, steps // 20)), eval_every=often, save_every=often,
            log_every=max(1, steps // 50),
        )  # fmt: skip

    def lam_stage(self, batch: int) -> LAMStage:
        """Make the stage of the LAM on all pairs."""
        torch.manual_seed(self.seed)
        source = PairSource(self.splits["train"], batch, self.seed, device=self.device, share=self.share)
        held_out = held_out_pairs(self.splits["test"], min(512, self.recipe.held_out))
        return LAMStage(LAM(lam_config(self.recipe, levels=FSQ_LEVELS)), source, held_out)

    def sequence_stage(self, lam: LAM, batch: int, short_steps: int) -> SequenceStage:
        """Make the stage of the prior on windows, short ones first."""
        torch.manual_seed(self.seed)
        sizes = self.recipe.sizes.sequence
        model = SequenceModel(replace(sizes, codes=lam.code_count))
        source = CurriculumSource(
            self.splits["train"], batch, self.recipe.short_frames, sizes.frames, short_steps, self.seed,
            device=self.device, share=self.share,
        )  # fmt: skip
        held_out = held_out_windows(self.splits["test"], 8, sizes.frames)
        return SequenceStage(model, lam, source, held_out, self.recipe.targets)

    def labels(self) -> tuple[Labels, Labels]:
        """Draw labeled transitions uniformly, to train on and held out; they are the same for every seed."""
        pairs = TransitionPairs(self.splits["train"], ("action", "previous_action"))
        count = min(self.session.size.labels, len(pairs))
        batch = pairs.read(Permutation(len(pairs), 0, 0)(np.arange(count)))
        known = {
            "obs": batch["frames"][:, 0],
            "next_obs": batch["frames"][:, 1],
            "action": batch["action"].astype(np.int64)[:, None],
            "previous": batch["previous_action"].astype(np.int64)[:, None],
        }
        cut = count - max(1, count // 10)
        return {k: v[:cut] for k, v in known.items()}, {k: v[cut:] for k, v in known.items()}

    def run(self, plan: dict[str, int], figures: dict[str, Any]) -> Path:
        """Train the missing models by a plan of steps per stage, and return the bundle's folder."""
        bundle = self.folder / "bundle"
        if figures.get("bundle"):
            return bundle
        loop = self.loop("lam", plan["lam"])
        figures["lam"] = _timed(lambda: train(self.lam_stage(loop.batch), loop, self.folder / "lam"))
        lam = LAM.from_pretrained(self.folder / "lam/best/lam", device=self.device)
        began = time.perf_counter()
        keep_codes(lam, self.share)
        figures["seconds_encoding"] = time.perf_counter() - began
        loop = self.loop("sequence", plan["sequence"])
        short = int(loop.steps * (1 - self.recipe.long_share))
        stage = self.sequence_stage(lam, loop.batch, short)
        figures["sequence"] = _timed(lambda: train(stage, loop, self.folder / "sequence"))
        few, held_out = self.labels()
        torch.manual_seed(self.seed)
        size = self.recipe.sizes.lam
        translator = Translator(
            TranslatorConfig(
                slots=size.slots, code_dim=len(FSQ_LEVELS), actions=action_spec(self.splits["train"]),
                conditioning="slots", image_size=size.image_size, channels=size.channels,
                **self.recipe.translator_slots,
            )
        )  # fmt: skip
        loop = self.loop(
            "translator", plan["translator"], optimiser="adamw", lr=self.recipe.translator.lr, compile=False
        )
        last = TranslatorStage(translator, lam, few, held_out, loop.batch, self.seed)
        figures["translator"] = _timed(lambda: train(last, loop, self.folder / "translator"))
        self._bundle(bundle, few, plan)
        figures["bundle"] = True
        return bundle

    def _bundle(self, out: Path, labels: Labels, plan: dict[str, int]) -> None:
        spec = replace(
            collecting.settings().spec, width=self.recipe.sizes.lam.image_size, height=self.recipe.sizes.lam.image_size
        )
        actions = action_spec(self.splits["train"])
        levels = tuple(self.splits["train"].levels)
        facts = LabelFacts("one-gpu", len(labels["action"]), levels, action_pairs(labels, actions.discrete[0]))
        training = {
            "levels": list(levels), "experts": ["reactive"], "steps": self.splits["train"].steps,
            "alignment": "translator", "plan": plan, "seed": self.seed, "weights": "float16", "revision": revision(),
            "date": time.strftime("%Y-%m-%d"),
        }  # fmt: skip
        kinds = {"lam": LAM, "sequence": SequenceModel, "translator": Translator}
        models = {name: kind.from_pretrained(self.folder / name / "best" / name) for name, kind in kinds.items()}
        config = BundleConfig(EnvironmentFacts.of(spec, (spec.textures,)), facts, training=training)
        write_bundle(out, config, models, half=True)


def _timed(call: Any) -> dict[str, Any]:
    torch.compiler.reset()  # graphs of other sizes count against the limit of recompilations
    began = time.perf_counter()
    return {**call(), "seconds": time.perf_counter() - began}


def make_plan(session: Session, seed: int) -> dict[str, int]:
    """Plan the steps of each stage that fit into the part's time, from the speed of a few steps."""
    size, training = session.size, Training(session, seed)
    plan = {"translator": size.translator_steps}
    few = max(6, size.least_steps // 10)
    loop = quick(training.recipe.lam, session, steps=few)
    stages = {
        "lam": lambda: training.lam_stage(loop.batch),
        "sequence": lambda: training.sequence_stage(_any_lam(training), training.recipe.sequence.batch, few),
    }
    for name, build in stages.items():
        began, loop = time.perf_counter(), quick(getattr(training.recipe, name), session, steps=few)
        if name == "sequence":
            keep_codes(_any_lam(training), training.share)
        seconds = ours(build(), loop, few // 2)
        spent = time.perf_counter() - began
        fitting = int(SHARES[name] * max(0.0, session.left() - spent) / seconds)
        plan[name] = min(max(size.least_steps, fitting), size.most_steps)
    return plan


def _any_lam(training: Training) -> LAM:
    return LAM(lam_config(training.recipe, levels=FSQ_LEVELS)).to(training.device)


def run(session: Session, figures: dict[str, Any]) -> None:
    """Train the first seed."""
    if "plan" not in figures:
        figures["plan"] = make_plan(session, 0)
        session.save("train", figures)
    began = time.perf_counter()
    try:
        Training(session, 0).run(figures["plan"], figures)
        figures["seconds"] = time.perf_counter() - began
    finally:
        session.save("train", figures)


def run_seeds(session: Session, figures: dict[str, Any]) -> None:
    """Train further seeds by the same plan, and play the suite at the first budget with each."""
    from benchmarks.one_gpu import suite

    first = session.load("train")
    if not first.get("bundle"):
        raise RuntimeError("There is no first training seed to repeat: the part `train` comes first.")
    for seed in range(1, session.size.seeds):
        own = figures.setdefault(f"seed-{seed}", {})
        if own.get("suite"):
            continue
        if not own and session.left() < first.get("seconds", 0.0) * 1.1:
            del figures[f"seed-{seed}"]
            return
        try:
            bundle = Training(session, seed).run(first["plan"], own)
            session.save("seeds", figures)
            own["suite"] = suite.play(session, bundle, session.size.suite_budgets[0], session.size.episodes[0])
        except TimeBoxOver:
            own["cut"] = True
            raise
        finally:
            session.save("seeds", figures)
