"""Checks before the first step, so that errors do not appear after hours."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from flexlam_rl.train.definition import RunConfig, Splits, StageDefinition, needed
from flexlam_rl.train.identity import compare_folder
from flexlam_rl.train.initial import initial_digest
from flexlam_rl.train.options import StageOptions


def check_chain(chain: Sequence[tuple[StageDefinition[Any], StageOptions]], data: Splits) -> list[RunConfig]:
    """Check everything that stages need which will be trained one after another.

    Args:
        chain: Stages with their options, in order.
        data: The rollouts.

    Returns:
        The configuration of each stage; digests of models that the chain will train are left out.

    Raises:
        TrainingError: A model of an earlier stage is missing, or a folder holds another run.
        ValueError: Options or rollouts do not fit one of the stages.
        OSError: A folder cannot be written.
    """
    coming: dict[str, RunConfig] = {}
    for definition, options in chain:
        check_device(options.device)
        for stage in definition.needs:
            if stage not in coming:
                needed(options, stage)
        check_writable(options.out)
        config = definition.plan(options, data, coming)
        if data.train.weights is not None:
            config = replace(config, weights=data.train.weights)
        if options.init is not None:
            config = replace(config, init=initial_digest(definition, options))
        unknown = tuple(stage for stage in definition.needs if stage in coming)
        compare_folder(definition.place(options), config, ignore=unknown)
        coming[definition.name] = config
    return list(coming.values())


def check_device(device: str) -> None:
    """Check that torch has the device.

    Raises:
        ValueError: It has not; the sentence says which devices there are.
    """
    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError):
        count = torch.cuda.device_count()
        found = f"'cpu' and {count} CUDA device{'s' * (count > 1)}" if count else "'cpu', and no CUDA device"
        raise ValueError(f"device is {device!r}; torch finds {found}.") from None


def check_writable(folder: Path) -> None:
    """Create a folder and check that it can be written.

    Raises:
        OSError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"{folder} cannot be written: {error.strerror or error}.") from None
