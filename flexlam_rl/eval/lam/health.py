"""`python -m eval.lam.health CHECKPOINT --data DIR --out DIR` (also `flexlam health`): is this latent action model good
enough?

Measures a trained run on its data's test split, each figure beside its controls, looks for known ways to fail, and
writes health.json, pictures and a page, README.md, that begins with the verdict. See docs/health.md.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from flexlam_rl.utils.command_line import run as run_command


@dataclass(frozen=True)
class Options:
    """Say whether a latent action model is good enough, with figures, pictures and reasons."""

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a training run, or of one LAM."""
    data: Path
    """Folder of the rollouts; their test split is measured."""
    out: Path
    """Folder for health.json, the pictures and README.md."""
    transitions: int = 1024
    """Held-out transitions for the flow loss; pictures take a quarter of them, actions four times as many."""
    seed: int = 0
    """Seed of the transitions and of the noise."""
    device: str = "cpu"


def load_transitions(rollouts: Any, count: int, seed: int) -> Any:
    """`count` transitions of `rollouts`, uniform over all of them and different where there are so many, with their
    actions if recorded.
    """
    import numpy as np

    from flexlam_rl.datasets import TransitionPairs
    from flexlam_rl.eval.lam.metrics import Transitions
    from flexlam_rl.train.source import to_device

    known = all(store.with_actions for store in rollouts.stores)
    pairs = TransitionPairs(rollouts, ("action", "previous_action") if known else ())
    count = min(count, len(pairs))
    batch = pairs.read(np.random.default_rng(seed).permutation(len(pairs))[:count])
    frames = to_device({"obs": batch["frames"][:, 0], "next_obs": batch["frames"][:, 1]}, "cpu")
    if not known or (batch["action"] < 0).any():
        return Transitions(frames["obs"], frames["next_obs"])
    actions = to_device({name: batch[name].astype(np.int64)[:, None] for name in ("action", "previous_action")}, "cpu")
    return Transitions(frames["obs"], frames["next_obs"], actions["action"], actions["previous_action"])


def examine(
    lam: Any, translator: Any, data: Any, transitions: int, report: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """All figures of a LAM, and of a translator where there is one.

    Args:
        lam: The model, on the device of `data`.
        translator: Its translator, or None.
        data: `Transitions`; the first `transitions` of them for the flow loss, all for the actions.
        transitions: See there.
        report: Called with the name of each part before it is measured.

    Returns:
        What health.json holds, with "checks" and "verdict".
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
    if data.action is not None:
        report("actions")
        classes = translator.config.actions.discrete[0] if translator is not None else int(data.action.max()) + 1
        figures["probe"] = probe.action_recovery(lam, codes, data, metrics.sweep(lam), classes)
        if translator is not None:
            figures["translation"] = metrics.translation(translator.eval(), lam, data, codes)
        found += failure_checks.of_actions(figures)
    figures["checks"] = [asdict(check) for check in found]
    figures["verdict"] = failure_checks.verdict(found)
    return figures


def run(options: Options) -> int:
    """Examine, write everything, print the verdict.

    Raises:
        CheckpointError: The folder holds no LAM that can be used.
        StoreError: The data have no test split.
    """
    from rich.console import Console
    from rich.progress import Progress

    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.lam import health_report
    from flexlam_rl.eval.studies.trained_models import load_lam, load_model, model_folder
    from flexlam_rl.models.flexlam.translator import Translator
    from flexlam_rl.utils.files import write_atomically

    if options.transitions < 48:
        raise ValueError(f"transitions is {options.transitions}; at least 48 are needed for any figure.")
    lam = load_lam(options.checkpoint, options.device)
    translator = None
    # a folder that is one LAM has no translator beside it
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

        data = load_transitions(rollouts, 4 * options.transitions, options.seed).to(options.device)
        figures = examine(lam, translator, data, min(options.transitions, len(data)), report)
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
