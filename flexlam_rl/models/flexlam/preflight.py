"""Checks of a whole chain of stages before its first step, so that nothing fails after hours."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from flexlam_rl.datasets import Rollouts, Windows, load_labels, make_labels
from flexlam_rl.datasets.labels import PARTS, LabelSet, label_names
from flexlam_rl.models.flexlam.arguments import TrainArgs
from flexlam_rl.models.flexlam.config import LAMConfig
from flexlam_rl.models.flexlam.plan import DIRECT, LABELLED, plan, windows
from flexlam_rl.models.flexlam.recipes import RECIPES, lam_config
from flexlam_rl.nn.pretrained import CONFIG, from_json
from flexlam_rl.train import data, distributed
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.identity import compare_folder
from flexlam_rl.utils.errors import StoreError


def check(args: TrainArgs, stages: Sequence[str], train: Rollouts, test: Rollouts) -> None:
    """Check all that the stages need; labels are drawn where there are none of that name.

    Args:
        args: The options.
        stages: In the order in which they will be trained.
        train: The training split.
        test: The test split.

    Raises:
        TrainingError: An earlier stage is missing, or a folder holds another run.
        ValueError: The options or the rollouts do not fit one of the stages.
        OSError: A folder cannot be written.
    """
    check_device(args.device)
    _frames(args, train, test)
    on_codes = [stage for stage in stages if stage != "lam" and stage not in DIRECT]
    if on_codes and "lam" not in stages:
        lam_folder(args)
    for folder in (args.out, args.cache):
        if folder is not None:
            _writable(folder)
    if "sequence" in stages:
        for rollouts in (train, test):
            for length in set(windows(args)[:2]):
                Windows(rollouts, length)  # refuses rollouts whose episodes are all shorter
    labelled = [stage for stage in stages if stage in LABELLED]
    actions = None
    if labelled:
        alone = (
            ""
            if len(stages) == 1
            else "; the latent action model alone needs no actions: python -m flexlam_rl.models.flexlam.stages.lam"
        )
        try:
            actions = data.action_spec(train)
            for part in labels(args, train):
                data.check_actions(train, part)
        except (ValueError, StoreError) as error:
            raise type(error)(f"the {labelled[0]} cannot be trained: {str(error).rstrip('.')}{alone}.") from None
    if "lam" in stages or not on_codes:
        lam = lam_config(RECIPES[args.preset], args.fixed, args.levels)
    else:
        record = json.loads((lam_folder(args) / CONFIG).read_text(encoding="utf-8"))
        lam = from_json(LAMConfig, record.get("config"), str(lam_folder(args) / CONFIG))
    for stage in stages:
        compare_folder(args.out / stage, plan(stage, args, train, lam, actions), ignore=("lam", "label_rows"))


def check_device(device: str) -> None:
    """Check that torch has the device.

    Raises:
        ValueError: It has not; the sentence says what it has.
    """
    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError):
        count = torch.cuda.device_count()
        found = f"'cpu' and {count} CUDA device{'s' * (count > 1)}" if count else "'cpu', and no CUDA device"
        raise ValueError(f"device is {device!r}; torch finds {found}.") from None


def lam_folder(args: TrainArgs) -> Path:
    """Folder of the trained LAM that a stage builds on.

    Raises:
        TrainingError: There is none yet.
    """
    run_folder = args.lam_run or args.out
    folder = run_folder / "lam" / "best" / "lam"
    if not folder.is_dir():
        raise TrainingError(f"{folder} is missing: train the LAM first (--out {run_folder}).")
    return folder


def labels(args: TrainArgs, train: Rollouts) -> tuple[LabelSet, LabelSet]:
    """The label set of the options, drawn if the rollouts have none of that name.

    Returns:
        Its parts "train" and "validation".

    Raises:
        ValueError: It holds other labels than are asked for, or too few to train on and to choose a checkpoint by.
    """
    if distributed.start(args.device)[0] == 0 and args.labels not in label_names(train.stores[0].path):
        levels = [args.label_level] if args.label_level else None
        fraction = None if args.label_count is not None else args.label_fraction
        make_labels(train, args.labels, fraction=fraction, count=args.label_count, levels=levels, seed=args.seed)
    distributed.gather(None)  # the other processes wait until the first has drawn them
    first, second = (load_labels(train, args.labels, part) for part in PARTS)
    for option, asked, name, found in (
        ("label_count", args.label_count, "labels", first.attributes.get("labels")),
        ("label_level", [args.label_level] if args.label_level else None, "levels", first.attributes.get("levels")),
    ):
        if None not in (asked, found) and asked != found:
            raise ValueError(
                f"the label set {args.labels!r} has {name} {found}, and {option} is {asked}: give another name with "
                "--labels."
            )
    if not len(first) or not len(second):
        raise ValueError(
            f"the label set {args.labels!r} has {len(first)} training and {len(second)} validation labels; "
            "expected at least 1 of each, as 10 labels or more give."
        )
    return first, second


def _frames(args: TrainArgs, train: Rollouts, test: Rollouts) -> None:
    size = RECIPES[args.preset].sizes.lam
    wanted = (size.image_size, size.image_size, size.channels)
    for rollouts in (train, test):
        found = tuple(rollouts.stores[0].frames.row)
        if found != wanted:
            shapes = " and ".join("x".join(map(str, shape)) for shape in (found, wanted))
            raise ValueError(f"frames in {args.data} and of the preset {args.preset!r} differ: {shapes}.")


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"{folder} cannot be written: {error.strerror or error}.") from None
