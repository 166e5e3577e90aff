"""A check that an import may continue an existing store."""

import json
from pathlib import Path
from typing import Any

from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.errors import StoreError


def stored_lengths(path: Path, source: dict[str, Any]) -> dict[int, int]:
    """Check that an import may continue a store, before its writer opens it.

    Args:
        path: Path of the store, which may not exist yet.
        source: What the import reads: `format`, options, and `files` in order. Files may have been added at the end
            since the last time.

    Returns:
        Number of rows of each stored episode, by its key.

    Raises:
        StoreError: The store was imported from other files or with other options, so that the keys of its episodes
            would mean others.
    """
    if not (path / "zarr.json").exists():
        return {}
    store = RolloutStore(path)
    before, now = store.origin.source, json.loads(json.dumps(source))
    if before.get("format") != now["format"]:
        raise StoreError(
            f"{path} was not imported from {now['format']} (its source is {before.get('format') or 'a recording'}): "
            "use another folder."
        )
    for name in sorted(set(before) & set(now) - {"files"}):
        if before[name] != now[name]:
            raise StoreError(
                f"{path} was imported with {name} {before[name]!r}, now it is {now[name]!r}: use another folder."
            )
    old, new = before.get("files"), now.get("files")
    if isinstance(old, list) and isinstance(new, list):
        for number, (one, other) in enumerate(zip(old, new, strict=False)):
            if one != other:
                raise StoreError(
                    f"File {number} of the import of {path} was {_name(one)}, now it is {_name(other)}: use another "
                    "folder."
                )
    table = store.episode_table
    return dict(zip(table["key"].tolist(), table["rows"].tolist(), strict=True))


def _name(file: Any) -> str:
    return f"{file['name']} with {file['rows']} rows" if isinstance(file, dict) else str(file)
