"""Pixel experts of several policies: a general one, and beside it in `specialists/` policies of some of its tasks.

A task is played by the specialist that was trained on it, and by the general policy where there is none.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flexlam_rl.agents.experts.pixel.network import PixelConfig, PixelNetwork
from flexlam_rl.agents.policy.compatibility import check_record
from flexlam_rl.nn.places import CheckpointError
from flexlam_rl.nn.pretrained import CONFIG, WEIGHTS
from flexlam_rl.utils.files import atomic_folder

SPECIALISTS = "specialists"


def policy_folders(folder: str | Path) -> list[Path]:
    """List the folders of a pixel expert's policies, the general one first."""
    return [Path(folder), *sorted(path.parent for path in (Path(folder) / SPECIALISTS).glob(f"*/{CONFIG}"))]


def load_policies(folder: str | Path) -> list[PixelNetwork]:
    """Load a pixel expert's policies, the general one first.

    Raises:
        CheckpointError: A policy is missing or damaged, or a specialist does not fit the general policy.
    """
    found = policy_folders(folder)
    general, *others = [PixelNetwork.from_pretrained(path) for path in found]
    for path, other in zip(found[1:], others, strict=True):
        _check(path, other.config, general.config)
    return [general, *others]


def player_of(policies: Sequence[PixelConfig], tasks: Sequence[str]) -> np.ndarray:
    """Find the number of the policy that plays each task: of those trained on it, the one with the fewest tasks; 0, the
    general policy, for a task that none was trained on.

    Args:
        policies: Configurations, the general policy's first.
        tasks: Names of tasks, n.

    Returns:
        Numbers of policies, int64 (n,).
    """
    special = sorted(range(1, len(policies)), key=lambda i: len(policies[i].tasks))
    return np.array([next((i for i in special if task in policies[i].tasks), 0) for task in tasks], np.int64)


def policy_for(folder: str | Path, tasks: Sequence[str]) -> Path:
    """Find the policy to start from for some tasks: of those trained on all of them, the one with the fewest tasks; the
    general one if there is none.

    Raises:
        CheckpointError: A policy is missing or damaged.
    """
    found = policy_folders(folder)
    known = [(len(own), path) for path in found if set(own := PixelNetwork.saved_config(path).tasks) >= set(tasks)]
    return min(known, default=(0, found[0]))[1]


def join(general: str | Path, specialists: Sequence[str | Path], out: Path) -> list[str]:
    """Write a pixel expert of several policies.

    Args:
        general: Folder of the general policy; specialists that it has already stay, unless a new one has the same
            tasks.
        specialists: Folders of policies of some tasks.
        out: Folder to write, missing or empty.

    Returns:
        One line per specialist: its name and tasks.

    Raises:
        CheckpointError: A folder holds no pixel expert, or a specialist does not fit the general policy.
        ValueError: `out` has contents, two new specialists have the same tasks, or one has all tasks of the general
            policy.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not empty; expected a new folder.")
    found = policy_folders(general)
    main, *former = [network.config for network in load_policies(general)]
    new: dict[str, Path] = {}
    for folder in map(Path, specialists):
        config = PixelNetwork.from_pretrained(folder).config  # also reads the weights, which may be damaged
        _check(folder, config, main)
        if set(config.tasks) >= set(main.tasks):
            raise ValueError(f"{folder} was trained on all tasks of {general}; expected some of them.")
        name = _name(config.tasks)
        if name in new:
            told = ", ".join(config.tasks)
            raise ValueError(f"{new[name]} and {folder} were trained on the same tasks ({told}); give one of them.")
        new[name] = folder
    kept = {_name(config.tasks): path for config, path in zip(former, found[1:], strict=True)}
    parts = dict(sorted((kept | new).items()))
    with atomic_folder(out) as made:
        copies = {made: Path(general)} | {made / SPECIALISTS / name: path for name, path in parts.items()}
        for target, source in copies.items():
            target.mkdir(parents=True, exist_ok=True)
            for file in (CONFIG, WEIGHTS):
                shutil.copyfile(source / file, target / file)
    return [f"{name}: {', '.join(PixelNetwork.saved_config(path).tasks)}" for name, path in parts.items()]


def _name(tasks: Sequence[str]) -> str:
    """Name a specialist's folder; other tasks have another name."""
    ordered = sorted(tasks)
    if len(ordered) == 1:
        return ordered[0]
    return f"{ordered[0]}-and-{len(ordered) - 1}-more-{hashlib.sha256('|'.join(ordered).encode()).hexdigest()[:6]}"


def _check(folder: Path, config: PixelConfig, general: PixelConfig) -> None:
    """Refuse a specialist of another environment, or with another number of choices."""
    try:
        check_record(config.environment, general.environment)
    except ValueError as error:
        raise CheckpointError(f"{folder} does not fit the general policy. {error}") from None
    if (config.actions, config.choices) != (general.actions, general.choices):
        raise CheckpointError(
            f"{folder} chooses {config.choices} of {config.actions} actions; the general policy chooses "
            f"{general.choices} of {general.actions}."
        )
