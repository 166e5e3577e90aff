"""Lists of parquet files that belong together: their order, splits and metadata."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

OURS = "flexlam_rl"  # key in a schema's metadata for the origin of the exported store
_PART = re.compile(r"(.+)-(\d{5})-of-\d{5}\.parquet$")

Files = str | Path | Sequence[str | Path]


def metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a file's schema."""
    return {key.decode(): value.decode() for key, value in (pq.read_schema(path).metadata or {}).items()}


def exported_from(file: str | Path) -> dict[str, Any]:
    """Read what `export_parquet` recorded in a file: level, split and attributes for `Origin.from_attributes`.

    Returns:
        The entries; an empty dictionary for other files.
    """
    described: dict[str, Any] = json.loads(metadata(Path(file)).get(OURS, "{}"))
    return described


def parquet_files(files: Files) -> list[Path]:
    """List parquet files: those of a folder in the order of their names, or the given ones.

    Raises:
        ValueError: There are no files, one does not exist, or one is not a parquet file.
    """
    if isinstance(files, str | Path):
        files = sorted(Path(files).glob("*.parquet")) if Path(files).is_dir() else [files]
    paths = [Path(file) for file in files]
    if not paths:
        raise ValueError("No parquet files: expected a file, a folder that contains some, or a list.")
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is no file: expected a parquet file.")
        try:
            pq.read_schema(path)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} cannot be read as parquet ({error})") from None
    return paths


def by_split(files: Files) -> dict[str | None, list[Path]]:
    """Group files by split; files that name none are under None.

    Our own exports name their split in the metadata, the hub's files in the file name (`test-00000-of-00002.parquet`).
    """
    groups: dict[str | None, list[Path]] = {}
    for path in parquet_files(files):
        named = _PART.match(path.name)
        split = exported_from(path).get("split") or (named[1] if named else None)
        groups.setdefault(split, []).append(path)
    return groups


def of_split(files: Files, split: str) -> list[Path]:
    """List the files of one split.

    Args:
        files: A folder, from which the files of the split are taken, or a file or list, which must be of one split.
        split: Name of the split. If all files name a single other split, they are taken as this one, so that callers
            can rename a split.

    Raises:
        ValueError: The files are of several splits, so that training and test data would be mixed.
    """
    groups = by_split(files)
    if len(groups) == 1:
        return next(iter(groups.values()))
    several = isinstance(files, str | Path)
    if several and split in groups and None not in groups:
        return groups[split]
    found = ", ".join(
        f"{name!r} ({paths[0].name})" if name else f"no split ({paths[0].name})" for name, paths in groups.items()
    )
    raise ValueError(f"The files for the split {split!r} are of several splits, {found}: import each split by itself.")


def follows(path: Path, before: Path) -> bool:
    """Whether a file may continue the last episode of the file `before`: by their names, no file between is missing."""
    one, other = _PART.match(before.name), _PART.match(path.name)
    return one is None or other is None or (one[1] == other[1] and int(other[2]) == int(one[2]) + 1)


def is_part(path: Path) -> bool:
    """Whether a file is named like a part of a dataset on the hub."""
    return _PART.match(path.name) is not None
