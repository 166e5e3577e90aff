"""`flexlam data labels DIR`: draw a few labeled transitions, or list the sets that were drawn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Draw labeled transitions, and store them beside the rollouts as a named set; without --name, list the existing
    sets.
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a collection."""
    name: str | None = None
    """Name of the set to draw."""
    fraction: float | None = None
    """Number of labels as a fraction of all steps (in the paper, 0.00025 from all levels, or 0.0004 from
    lasertag_one_opponent_large).
    """
    count: int | None = None
    """Number of labels, instead of a fraction."""
    level: tuple[str, ...] = ()
    """Levels to draw from; a fraction still refers to the steps of all levels."""
    split: str = "train"
    """Split to draw from."""
    validation: float = 0.1
    """Share of the labels that is kept for validation."""
    seed: int = 0
    """Seed of the draw; with the same seed, a larger set contains the smaller ones."""
    overwrite: bool = False
    """Replace a set of that name."""


def run(options: Labels) -> int:
    """Draw a set, or list the sets."""
    from flexlam_rl.datasets.labels import label_names, load_labels, make_labels
    from flexlam_rl.datasets.store import open_rollouts

    if not options.folder.is_dir():
        raise ValueError(f"{options.folder} is no folder: expected a collection of rollouts.")
    rollouts = open_rollouts(options.folder, split=options.split)
    if options.name is not None:
        levels = list(options.level) or None
        train, validation = make_labels(
            rollouts,
            options.name,
            fraction=options.fraction,
            count=options.count,
            levels=levels,
            validation=options.validation,
            seed=options.seed,
            overwrite=options.overwrite,
        )
        _say(options.name, train, validation, rollouts)
        return 0
    names = sorted(set.intersection(*(set(label_names(store.path)) for store in rollouts.stores)))
    for name in names:
        _say(name, load_labels(rollouts, name), load_labels(rollouts, name, "validation"), rollouts)
    if not names:
        print(f"{options.folder} has no label set: draw one with --name and --fraction or --count.")
    return 0


def _say(name: str, train: Any, validation: Any, rollouts: Any) -> None:
    total = len(train) + len(validation)
    levels = sum(bool(len(one) + len(other)) for one, other in zip(train.rows, validation.rows, strict=True))
    share = total / rollouts.steps
    print(
        f"{name}: {len(train)} labels for training, {len(validation)} for validation, {share:.4%} of {rollouts.steps} "
        f"steps, from {levels} levels."
    )
