"""Making a bundle from a training run."""

import contextlib
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.bundle import (
    MODELS,
    OPTIONAL,
    BundleConfig,
    Decoding,
    EnvironmentFacts,
    LabelFacts,
    check_fit,
    files_hash,
)
from flexlam_rl.agents.policy.bundle_files import free_for_bundle, write_bundle
from flexlam_rl.datasets import Rollouts, load_labels, open_rollouts
from flexlam_rl.envs.spec import ActionSpec, EnvSpec
from flexlam_rl.nn.patch_embed import Size, frame_size
from flexlam_rl.nn.pretrained import CONFIG, CheckpointError, PretrainedModel, model_digest
from flexlam_rl.utils.provenance import revision

# folder of each model in a run, without and with joint alignment; the first part is the stage that trained it
_PLACES = {
    "translator": {
        "lam": "lam/best/lam",
        "sequence": "sequence/best/sequence",
        "translator": "translator/best/translator",
    },
    "joint": {"lam": "joint/best/lam", "sequence": "sequence/best/sequence", "translator": "joint/best/translator"},
}


def make_bundle(
    run: Path,
    out: Path,
    data: Sequence[Path],
    stage: str = "translator",
    half: bool = False,
    decoding: Decoding | None = None,
    aligned: Path | None = None,
    prior: bool = True,
) -> tuple[BundleConfig, str]:
    """Write a bundle of a run's best models, with the budget head where one has been trained on them.

    Args:
        run: Folder of the run, with finished stages lam, sequence and `stage`.
        out: Folder of the bundle; a bundle there is replaced.
        data: Folders of the rollouts that the run was trained on; the first is the one with the labels. Several may
            differ in their look.
        stage: "translator", or "joint" for the LAM and translator of joint alignment.
        half: Whether to store weights in float16, at half the size and rounded to 3 digits.
        decoding: Default options of the policy's decisions; None for those of `Decoding`.
        aligned: Folder of the run with `stage`, if that is another run, which was trained on `run`'s LAM.
        prior: Whether to include the sequence model; without it, only the policy `oracle` can play the bundle.

    Returns:
        The configuration and the hash of the bundle.

    Raises:
        CheckpointError: A stage is missing, or models do not belong together.
        ValueError: The run was trained on other data, or the stores differ in more than their look.
        OSError: `out` cannot be written, or holds something else.
    """
    out = free_for_bundle(out)
    models = {}
    runs = {"lam": run, **({"sequence": run} if prior else {}), stage: aligned or run}
    stages = {part: place for part, place in _PLACES[stage].items() if prior or part != "sequence"}
    places = {part: runs[place.split("/")[0]] / place for part, place in stages.items()}
    for part, folder in places.items():
        name = folder.parts[-3]
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is missing: finish the stage {name!r} of the run first.")
        models[part] = MODELS[part](folder)
    records = {
        name: json.loads((runs[name] / name / CONFIG).read_text(encoding="utf-8")) for name in runs if name != "lam"
    }
    own = model_digest(run / "lam/best/lam")
    for name, trained in records.items():
        # runs of earlier versions do not name it
        if trained.get("lam", own) != own:
            raise CheckpointError(
                f"{runs[name] / name} was trained on the codes of another LAM than that of {run}; train it again on "
                "this one."
            )
    record = records[stage]
    rollouts = [open_rollouts(folder, split="train") for folder in data]
    digests = [tuple(r.digests) for r in rollouts]
    if tuple(record["data"]) not in (digests[0], tuple(d for part in digests for d in part)):
        raise ValueError(
            f"{', '.join(map(str, data))} is not the data that {runs[stage]} was trained on (its digests differ)."
        )
    facts = _environment(rollouts, frame_size(models["lam"].config))
    labels = _labels(rollouts[0], str(record["labels"]), models["translator"].config.actions)
    config = BundleConfig(facts, labels, decoding or Decoding(), _training(runs, stage, rollouts, half), prior)
    check_fit(config, models["lam"], models.get("sequence"), models["translator"], str(run))  # type: ignore[arg-type]
    if prior and (head := _budget_head(runs[stage], places)) is not None:
        models["budget"] = head
    write_bundle(out, config, models, half)
    return config, files_hash(out)


def _budget_head(run: Path, parts: Mapping[str, Path]) -> PretrainedModel | None:
    """Load the budget head of a run; None where it has none.

    Raises:
        CheckpointError: The head was trained on other models than those of the bundle.
    """
    folder = run / "budget" / "best" / "budget"
    if not folder.is_dir():
        return None
    trained = json.loads((run / "budget" / CONFIG).read_text(encoding="utf-8"))
    for part, place in parts.items():
        if trained[part] != model_digest(place):
            raise CheckpointError(
                f"{run / 'budget'} was trained on another {part} model than {place}; train it again on this one, or "
                "move its folder away."
            )
    return OPTIONAL["budget"](folder)


def _environment(rollouts: Sequence[Rollouts], size: Size) -> EnvironmentFacts:
    stores = [store for part in rollouts for store in part.stores]
    origins = [store.origin for store in stores]
    acting = [store.origin for store in stores if store.with_actions] or origins  # video has no action set
    same = {name: {getattr(origin, name) for origin in origins} for name in ("domain", "engine", "frame_skip", "hud")}
    same |= {name: {getattr(origin, name) for origin in acting} for name in ("action_set", "action_hash")}
    same["look"] = {tuple(sorted(origin.look.items())) for origin in origins}
    for name, values in same.items():
        if len(values) != 1:
            raise ValueError(f"The rollouts have {name} {sorted(map(str, values))}; a policy needs one.")
    one: dict[str, Any] = {name: values.pop() for name, values in same.items()}
    look = (("hud", one.pop("hud")), *one.pop("look"))
    spec = EnvSpec(**one, width=size[1], height=size[0], look=look)
    return EnvironmentFacts.of(spec, tuple(sorted({origin.textures for origin in origins})))


def _labels(rollouts: Rollouts, name: str, spec: ActionSpec) -> LabelFacts:
    """Describe a label set: its size, its levels, and how often actions follow one another."""
    from flexlam_rl.train.actions import labelled

    parts = [load_labels(rollouts, name, part) for part in ("train", "validation")]
    pairs: tuple[tuple[int, ...], ...] = ()
    if len(spec.discrete) == 1 and not spec.continuous:
        pairs = action_pairs(labelled(rollouts, parts[0], spec), spec.discrete[0])
    levels = tuple(
        dict.fromkeys(str(level) for level in parts[0].attributes["levels"])
    )  # a level in two looks counts once
    return LabelFacts(name, sum(map(len, parts)), levels, pairs)


def action_pairs(known: Mapping[str, np.ndarray], actions: int) -> tuple[tuple[int, ...], ...]:
    """Count in labels how often action j follows action i - 1 (row 0: first steps of episodes).

    Args:
        known: "action" and "previous", (B, 1) each.
        actions: Number of actions, A.

    Returns:
        (A + 1) rows of A counts.
    """
    pairs = np.zeros((actions + 1, actions), np.int64)
    np.add.at(pairs, (known["previous"][:, 0] + 1, known["action"][:, 0]), 1)
    return tuple(tuple(map(int, row)) for row in pairs)


def _training(runs: dict[str, Path], stage: str, rollouts: Sequence[Rollouts], half: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, run in runs.items():
        with contextlib.suppress(OSError, ValueError):
            figures[name] = json.loads((run / name / "best" / "metrics.json").read_text(encoding="utf-8"))
    return {
        "levels": sorted({level for part in rollouts for level in part.levels}),
        "experts": sorted({store.origin.policy for part in rollouts for store in part.stores}),
        "steps": sum(part.steps for part in rollouts),
        "alignment": stage,
        "best": figures,
        "weights": "float16" if half else "float32",
        "revision": revision(),
        "date": datetime.date.today().isoformat(),
    }
