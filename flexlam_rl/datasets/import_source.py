"""Whether an import may continue the store that is there."""

import json
from pathlib import Path
from typing import Any

from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.errors import StoreError


def stored_lengths(path: Path, source: dict[str, Any]) -> dict[int, int]:
    """Look at the store that an import will continue, before its writer opens it.

    Args:
        path: Of the store, which need not be there.
        source: What the import reads: `format`, options, and `files` in order, of which there may be more than last
            time.

    Returns:
        Rows of each episode that is there, by its key.

    Raises:
        StoreError: It came from other files, or with other options: the numbers of its episodes would mean others.
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
