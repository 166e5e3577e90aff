"""Folders of exported files: continued after an interruption, written anew when the store has grown, and never
overwriting other files.
"""

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
    """Prepare the folder of an export, and record in it what its files contain.

    Files of an export of the same store before it grew are removed.

    Args:
        folder: Folder to write to; created if it is missing.
        store: Store to export; a folder may hold exports of several splits.
        names: Files that the export will write, each atomically.
        options: Options of the export, as JSON values.

    Returns:
        Names of files that an interrupted export of the same data has already written.

    Raises:
        StoreError: The folder holds an export of another store or with other options, or a file of one of these names
            that is not from an export.
    """
    record = folder / f".{store.split}-export.json"
    about = {**options, "digest": store.digest, "files": list(names)}
    before = read_json(record) if record.exists() else {}
    mine = set(before.get("files", names if before else ()))  # records of the first version have no list of files
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
    """Warn in one sentence about what an export of a store does not keep; no warning if nothing is lost."""
    if losses:
        warnings.warn(f"The export of {store.level}/{store.split} is not exact: {'; '.join(losses)}.", stacklevel=3)


def _grew_from(store: RolloutStore, digest: str | None) -> bool:
    """Whether the store had this digest when it had fewer episodes."""
    chained = hashlib.sha256(SCHEMA.encode()).hexdigest()
    for i in range(store.episodes):
        if chained == digest:
            return True
        entry = {name: values[i].item() for name, values in store.episode_table.items()}
        chained = hashlib.sha256(f"{chained} {json.dumps(entry, sort_keys=True)}".encode()).hexdigest()
    return False
