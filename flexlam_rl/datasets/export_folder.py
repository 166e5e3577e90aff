"""Folders of exported files: continued after an interruption, renewed when the store grew, never taken from others."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flexlam_rl.datasets.schema import SCHEMA
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import read_json, write_json


def begin_export(folder: Path, store: RolloutStore, names: Sequence[str], options: dict[str, Any]) -> set[str]:
    """Make the folder of an export; a record in it tells what its files hold.

    Args:
        folder: Made if it is not there.
        store: What is exported; a folder may hold exports of several splits.
        names: Files that the export will write, each atomically.
        options: Of the export, JSON values.

    Returns:
        Names that an earlier, interrupted export of the same has written already. Those of the store before it grew are
        removed.

    Raises:
        StoreError: Another store or other options were exported there, or a file of one of these names is not from an
            export.
    """
    record = folder / f".{store.split}-export.json"
    about = {**options, "digest": store.digest, "files": list(names)}
    before = read_json(record) if record.exists() else {}
    mine = set(before.get("files", names if before else ()))  # records of the first version do not list them
    for name in names:
        if name not in mine and (folder / name).exists():
            raise StoreError(
                f"{folder / name} exists and is not from an export: delete it, or export to another folder."
            )
    same = before.get("digest") == store.digest
    if before and not (
        {name: before.get(name) for name in options} == options and (same or _grew_from(store, before.get("digest")))
    ):
        raise StoreError(
            f"{folder} holds an export of other rollouts, or with other options: delete it, or export to another "
            "folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in set() if same else mine:
        (folder / name).unlink(missing_ok=True)
    if before != about:
        write_json(record, about)
    return {name for name in names if (folder / name).exists()}


def say_losses(store: RolloutStore, losses: Sequence[str]) -> None:
    """Warn of what an export of a store does not keep, in one sentence."""
    if losses:
        warnings.warn(f"The export of {store.level}/{store.split} is not exact: {'; '.join(losses)}.", stacklevel=3)


def _grew_from(store: RolloutStore, digest: str | None) -> bool:
    """Whether the store had this digest when it held fewer episodes."""
    chained = hashlib.sha256(SCHEMA.encode()).hexdigest()
    for i in range(store.episodes):
        if chained == digest:
            return True
        entry = {name: values[i].item() for name, values in store.episode_table.items()}
        chained = hashlib.sha256(f"{chained} {json.dumps(entry, sort_keys=True)}".encode()).hexdigest()
    return False
