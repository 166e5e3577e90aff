"""`python -m eval.lam.health CHECKPOINT --data DIR --out DIR` (also `flexlam health`): judge whether a latent action
model is good enough.

It measures a trained run on its data's test split, each figure beside its controls, looks for known failures, and
writes health.json, pictures and a page, README.md, which begins with the verdict. See docs/health.md.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.command_line import run as run_command


@dataclass(frozen=True)
class Options:
    """Judge whether a latent action model is good enough, with figures, pictures and reasons."""

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a training run, or of one LAM."""
    data: Path
    """Folder of the rollouts; their test split is measured."""
    out: Path
    """Folder for health.json, the pictures and README.md."""
    transitions: int = 1024
    """Number of held-out transitions for the flow loss; pictures use a quarter as many, actions four times as many."""
    seed: int = 0
    """Seed of the transitions and of the noise."""
    device: str = "cpu"


def load_transitions(
    rollouts: Any, count: int, seed: int, spec: ActionSpec | None = None, labelled: bool = False
) -> Any:
    """Draw transitions uniformly from rollouts, none twice, with their actions if all of these are known.

    Args:
        rollouts: The rollouts.
        count: Largest number of transitions.
        seed: Seed of the draw.
        spec: A model's action space; None for that of the rollouts.
        labelled: Whether to draw only transitions whose action is known, if there are any.
    """
    import numpy as np

    from flexlam_rl.datasets import TransitionPairs
    from flexlam_rl.eval.lam.metrics import Transitions
    from flexlam_rl.train.actions import action_spec, bounded, read_labels
    from flexlam_rl.train.source import to_device

    fields = ("action", "previous_action") if any(store.with_actions for store in rollouts.stores) else ()
    pairs = TransitionPairs(rollouts, fields)
    items = np.arange(len(pairs))
    number, rows = pairs.locate(items)
    known = np.zeros(len(items), np.bool_)
    for i, store in enumerate(rollouts.stores):
        known[number == i] = store.acted[rows[number == i]]
    if labelled and known.any():
        items = items[known]
    chosen = items[np.random.default_rng(seed).permutation(len(items))[:count]]
    try:
        spec = spec or (action_spec(rollouts) if known[chosen].all() else None)
    except ValueError:  # native actions, which no model predicts
        spec = None
    if spec is None or not known[chosen].all():
        frames = to_device({"frames": pairs.read(chosen)["frames"]}, "cpu")["frames"]
        return Transitions(frames[:, 0], frames[:, 1])
    part = to_device(read_labels(pairs, chosen, bounded(spec, pairs.read(chosen)["action"])), "cpu")
    return Transitions(part["obs"], part["next_obs"], part["action"], part["previous"])


def examine(
    lam: Any,
    translator: Any,
    data: Any,
    transitions: int,
    report: Callable[[str], None] = lambda _: None,
    known: Any = None,
) -> dict[str, Any]:
    """Compute all figures of a LAM, and of its translator if there is one.

    Args:
        lam: The model, on the device of `data`.
        translator: Its translator, or None.
        data: `Transitions`. The first `transitions` are used for the flow loss, all of them for the actions.
        transitions: Number of transitions for the flow loss.
        report: Called with the name of each part before it is measured.
        known: `Transitions` with actions, if those of `data` are not all known; None for `data` itself.

    Returns:
        The content of health.json, with "checks" and "verdict".
    """
    from flexlam_rl.eval.lam import failure_checks, metrics, probe, usage

    lam.eval()
    spec, m = lam.latent, lam.config.slots
    report("encoding")
    codes = metrics.encode(lam, data)
    part, own = data[:transitions], codes[:transitions]
    figures: dict[str, Any] = {
        "slots": m,
        "prefix": lam.config.prefix,
        "model": type(lam).__name__,
        "quantizer": lam.config.quantizer,
        "numbers": spec.dim,
        "codes_per_slot": spec.codes,
        "error": lam.error_name,
        "transitions": len(part),
        "with_actions": len(data),
    }
    report("reconstruction")
    figures["reconstruction"] = metrics.reconstruction(lam, part, own, max(16, transitions // 4))
    figures["still"] = metrics.still(part)
    report("importance of the slots")
    few = slice(0, max(16, transitions // 4))
    figures["importance"] = metrics.slot_importance(lam, part[few], own[few])
    report("use of the codes")
    figures["usage"] = usage.usage_of(lam, codes)
    report("gradient")
    figures["gradient"] = metrics.gradient_reach(lam, part[:64])
    report("appearance")
    figures["appearance"] = probe.appearance(lam, codes, data)
    found = failure_checks.of_codes(figures)
    if data.action is None and known is not None and known.action is not None and len(known) >= 48:
        figures["with_actions"] = len(known)
        data, codes = known, metrics.encode(lam, known)
    if data.action is not None:
        report("actions")
        figures["probe"] = probe.action_recovery(lam, codes, data, metrics.sweep(lam))
        if translator is not None:
            figures["translation"] = metrics.translation(translator.eval(), lam, data, codes)
        found += failure_checks.of_actions(figures)
    figures["checks"] = [asdict(check) for check in found]
    figures["verdict"] = failure_checks.verdict(found)
    return figures


def run(options: Options) -> int:
    """Measure the model, write the files, and print the verdict.

    Raises:
        CheckpointError: The folder holds no LAM that can be used.
        StoreError: The data has no test split.
        ValueError: There are too few transitions, or the translator does not fit the LAM.
    """
    from rich.console import Console
    from rich.progress import Progress

    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.lam import health_report
    from flexlam_rl.eval.studies.trained_models import load_lam, load_model
    from flexlam_rl.models.flexlam.translator import Translator
    from flexlam_rl.nn.pretrained import model_folder
    from flexlam_rl.utils.files import write_atomically

    if options.transitions < 48:
        raise ValueError(f"transitions is {options.transitions}; at least 48 are needed for any figure.")
    lam = load_lam(options.checkpoint, options.device)
    translator = None
    # a folder that holds only a LAM has no translator
    if model_folder(options.checkpoint, "translator") not in (None, options.checkpoint):
        translator = load_model(Translator, options.checkpoint, "translator", options.device)
        if (translator.config.slots, translator.config.prefix) != (lam.config.slots, lam.config.prefix):
            raise ValueError(
                f"the translator in {options.checkpoint} is for {translator.config.slots} slots, the LAM has "
                f"{lam.config.slots}."
            )
    rollouts = open_rollouts(options.data, split="test")
    began = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading", total=8)

        def report(part: str) -> None:
            progress.update(task, description=part, advance=1)
            if not console.is_terminal:
                print(f"health: {part}", flush=True)

        count, spec = 4 * options.transitions, None if translator is None else translator.config.actions
        data = load_transitions(rollouts, count, options.seed, spec).to(options.device)
        known = None
        if data.action is None:  # most episodes may be video without actions
            known = load_transitions(rollouts, count, options.seed, spec, labelled=True).to(options.device)
        figures = examine(lam, translator, data, min(options.transitions, len(data)), report, known)
    figures |= {
        "checkpoint": options.checkpoint.resolve().name,
        "data": {
            "levels": list(dict.fromkeys(rollouts.levels)),
            "engine": rollouts.stores[0].origin.engine,
            "split": "test",
            "digests": list(rollouts.digests),
        },
        "seed": options.seed,
        "seconds": round(time.perf_counter() - began, 1),
    }
    write_atomically(options.out / "health.json", (json.dumps(figures, indent=1) + "\n").encode())
    health_report.write(figures, lam, data, options.out)
    found = [check for check in figures["checks"] if check["found"]]
    print(f"verdict: {figures['verdict']}")
    for check in found:
        print(f"  {check['weight']}: {check['name']} ({check['reason']})")
    print(f"page: {options.out / 'README.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.lam.health"))
