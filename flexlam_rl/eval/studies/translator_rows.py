"""Measurements of a translator on a latent action model, on the actions of held-out transitions, per budget."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flexlam_rl.utils.files import read_json


def translator_rows(
    lam_run: Path, run: Path, data: Any, budgets: Sequence[int] | None, device: str
) -> list[dict[str, Any]]:
    """Measure a translator at some budgets.

    `gain` is the share by which the true latents lower the error of the model's own prediction, against the latents of
    other transitions. It is a share because the errors of different methods cannot be compared.

    Args:
        lam_run: Folder of the latent action model's training run.
        run: Folder of the translator's training run.
        data: `Transitions` on `device`, with actions.
        budgets: Values of K, where 0 stands for only the previous action; None for all slots.
        device: Device of the models.

    Returns:
        One row per budget: the figures of `metrics.translate`, the model's error and gain, its size, and the figures by
        which the checkpoint was chosen.
    """
    from flexlam_rl.eval.lam import metrics
    from flexlam_rl.eval.studies.trained_models import load_lam, load_model
    from flexlam_rl.models.flexlam.translator import Translator

    lam = load_lam(lam_run, device)
    translator = load_model(Translator, run, "translator", device)
    chosen = read_json(run / "translator/best/metrics.json")
    codes = metrics.encode(lam, data)
    few = slice(0, 512)
    shuffled = metrics.control_codes(codes, "shuffled", lam.latent.codes)
    common = {
        "parameters": sum(p.numel() for p in lam.parameters()),
        "steps": read_json(lam_run / "lam/config.json")["loop"]["steps"],
        # the figure by which the checkpoint was chosen, on the small validation part of the labels
        "validation_loss": chosen["loss"], "step": chosen["step"],
    }  # fmt: skip
    rows = []
    for k in [lam.latent.slots] if budgets is None else budgets:
        scores = metrics.translate(translator, lam, data, codes, k)
        error, other = (
            float(metrics.prediction_errors(lam, data[few], each[few], k).mean()) for each in (codes, shuffled)
        )
        row = common | {"budget": k, **scores, "numbers": lam.latent.dim * k, "gain": 1 - error / other, "error": error}
        if lam.latent.codes is not None:
            row["bits"] = round(k * math.log2(lam.latent.codes), 2)
        rows.append(row)
    return rows
