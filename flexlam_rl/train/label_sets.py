"""Label sets of stages: drawn if there are none, checked, and read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.datasets import Rollouts, load_labels, make_labels
from flexlam_rl.datasets.labels import PARTS, LabelSet, label_names
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.train import actions, distributed
from flexlam_rl.train.options import LabelOptions
from flexlam_rl.utils.errors import StoreError

DIVERSE = "diverse"
"""Name of label sets that are drawn over groups of transitions, also with a suffix after "-"."""
Groups = Callable[[], tuple[Sequence[np.ndarray[Any, Any]], Mapping[str, Any]]]
"""Function that gives the group of each row of each store, and how the groups were made."""


def is_diverse(name: str) -> bool:
    """Tell whether a label set of that name is drawn over groups."""
    return name == DIVERSE or name.startswith(f"{DIVERSE}-")


def label_set(options: LabelOptions, train: Rollouts, groups: Groups | None = None) -> tuple[LabelSet, LabelSet]:
    """Read the label set of the options; it is drawn if the rollouts have none of that name.

    Args:
        options: Options of the stage.
        train: The training rollouts.
        groups: Groups that a diverse set is drawn over.

    Returns:
        Its parts "train" and "validation".

    Raises:
        ValueError: The set does not have the requested labels, or too few to train on and to choose a checkpoint by; or
            a diverse set is missing, and there are no groups.
    """
    if distributed.start(options.device)[0] == 0 and options.labels not in label_names(train.stores[0].path):
        tasks = [options.label_task] if options.label_task else None
        fraction = None if options.label_count is not None else options.label_fraction
        over, about = (None, None) if not is_diverse(options.labels) or groups is None else groups()
        if is_diverse(options.labels) and over is None:
            raise ValueError(
                f"the label set {options.labels!r} is missing; the translator draws it, over the codes of its latent "
                "action model: train that first (flexlam train translator), or take labels of another name."
            )
        make_labels(
            train, options.labels, fraction=fraction, count=options.label_count, levels=tasks, seed=options.seed,
            groups=over, about=about,
        )  # fmt: skip
    distributed.gather(None)  # the other processes wait until rank 0 has drawn the labels
    first, second = (load_labels(train, options.labels, part) for part in PARTS)
    for option, asked, name, found in (
        ("label_count", options.label_count, "labels", first.attributes.get("labels")),
        ("label_task", [options.label_task] if options.label_task else None, "levels", first.attributes.get("levels")),
    ):
        if None not in (asked, found) and asked != found:
            raise ValueError(
                f"the label set {options.labels!r} has {name} {found}, and {option} is {asked}: give another name with "
                "--labels."
            )
    if not len(first) or not len(second):
        raise ValueError(
            f"the label set {options.labels!r} has {len(first)} training and {len(second)} validation labels; "
            "expected at least 1 of each, so draw 10 labels or more."
        )
    return first, second


def labels_of(
    options: LabelOptions, train: Rollouts, stage: str, in_a_row: bool, groups: Groups | None = None
) -> tuple[ActionSpec, str | None]:
    """Check what a stage on labels needs.

    Args:
        options: Options of the stage.
        train: The training rollouts.
        stage: Name of the stage.
        in_a_row: Whether the same command trains the latent action model first.
        groups: Groups that a diverse set is drawn over.

    Returns:
        The action space of the labels, and a digest of the labels, which is None if they will be drawn over the codes
        of a latent action model that is trained first.

    Raises:
        ValueError: The rollouts lack the necessary actions, or the labels do not fit.
        StoreError: The rollouts have no actions.
    """
    try:
        spec = actions.action_spec(train)
        if in_a_row and is_diverse(options.labels) and options.labels not in label_names(train.stores[0].path):
            return spec, None
        parts = label_set(options, train, groups)
        spec = actions.labelled_spec(train, parts[0])
        actions.labelled_spec(train, parts[1])  # refuses labels without a valid action
    except (ValueError, StoreError) as error:
        alone = "; the latent action model alone needs no actions: flexlam train lam" if in_a_row else ""
        raise type(error)(f"the {stage} cannot be trained: {str(error).rstrip('.')}{alone}.") from None
    return spec, "-".join(part.digest[:16] for part in parts)


def labelled_parts(options: LabelOptions, train: Rollouts) -> tuple[actions.Labels, actions.Labels]:
    """Read the labeled transitions to train on and those to choose a checkpoint by, into memory."""
    parts = label_set(options, train)
    spec = actions.labelled_spec(train, parts[0])
    first, second = (actions.labelled(train, part, spec) for part in parts)
    return first, second
