"""Export to the parquet layout of the public DMLab expert data (see `parquet`)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flexlam_rl.datasets.export_folder import begin_export
from flexlam_rl.datasets.formats.parquet.columns import REQUIRED
from flexlam_rl.datasets.formats.parquet.files import OURS
from flexlam_rl.datasets.pictures import encode_png
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress, atomic_file, disk_errors, no_progress

ROW_GROUP = 200
Part = tuple[int, int, int | None]  # episode, first row, row after the last


def export_parquet(
    store: RolloutStore,
    folder: str | Path,
    *,
    last_frames: Literal["drop", "row"] = "drop",
    episodes_per_file: int = 64,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write a store in the parquet layout. After an interruption, the same call continues with the missing files.

    A store that was imported from parquet gets its original files back, with their names, columns, types and schema
    metadata. Files of other stores are named as on the Hugging Face hub.

    Args:
        store: A store with discrete actions, one number each.
        folder: Folder to write to; created if it is missing.
        last_frames: What to do with the observation after the last action, which has no place in the layout of one row
            per action: "drop" leaves it out; "row" adds a row with action -1, which `import_parquet` understands.
        episodes_per_file: Number of episodes per file, for stores that were not imported from parquet.
        progress: Called with the number of files written and the total.

    Returns:
        The files.

    Raises:
        ValueError: The store has other actions or none, or PNG cannot hold its frames.
        StoreError: The folder contains other files with these names.
    """
    _check(store, episodes_per_file)
    folder = Path(folder)
    source = store.origin.source
    came = source.get("format") == "parquet" and sum(described["rows"] for described in source["files"]) == store.rows
    plan: list[tuple[str, Mapping[str, str], list[Part]]] = []
    if came:
        names = tuple(source["columns"])
        groups = _refill(store, [described["rows"] for described in source["files"]])
        plan = [
            (described["name"], described["metadata"], parts)
            for described, parts in zip(source["files"], groups, strict=True)
        ]
    else:
        own = _own_columns(store)
        names = (*REQUIRED, "instruction", "restart", *own, *store.attributes["extra"])
        count = -(-store.episodes // episodes_per_file)
        about = {"huggingface": json.dumps({"info": {"features": _features(_schema(store, names))}})}
        about[OURS] = json.dumps(
            {"level": store.level, "split": store.split, "own_columns": own, **store.origin.attributes()}
        )
        for i in range(count):
            parts: list[Part] = [
                (number, 0, None)
                for number in range(store.episodes)[i * episodes_per_file : (i + 1) * episodes_per_file]
            ]
            plan.append((f"{store.split}-{i:05d}-of-{count:05d}.parquet", about, parts))
    schema = _schema(store, names)
    if came and "schema" in source:
        schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(source["schema"])))
    every_row = came or last_frames == "row"  # imported last frames had rows of their own
    written = []
    with disk_errors(folder):
        options = {"last_frames": last_frames, "episodes_per_file": episodes_per_file}
        there = begin_export(folder, store, [name for name, _, _ in plan], options)
        for number_of_file, (name, metadata, parts) in enumerate(plan):
            progress(number_of_file, len(plan))
            written.append(folder / name)
            if name in there:
                continue
            described = schema.with_metadata(metadata)
            with atomic_file(folder / name) as file, pq.ParquetWriter(file, described) as writer:
                for number, start, stop in parts:
                    table = _table(store, number, names, described, every_row)
                    writer.write_table(
                        table.slice(start, None if stop is None else stop - start), row_group_size=ROW_GROUP
                    )
        progress(len(plan), len(plan))
    return written


def _check(store: RolloutStore, episodes_per_file: int) -> None:
    """Check that the layout can hold the store, before anything is written."""
    if episodes_per_file < 1:
        raise ValueError(f"episodes_per_file is {episodes_per_file}: expected at least 1.")
    if not store.with_actions:
        raise ValueError(f"{store.path} is video without actions: the parquet layout needs actions.")
    if store.actions is not None and not store.actions.is_single:
        raise ValueError(
            f"{store.path} has actions of {store.actions.dims} dimensions: the parquet layout has one number per "
            "action; export to minari instead."
        )
    native = store.action[:][store.episode_table["start"]] < 0
    if native.any():
        raise ValueError(
            f"Episode {int(native.argmax())} of {store.path} has no discrete actions: the parquet layout needs them in "
            "every episode."
        )
    if not 1 <= store.frames.row[-1] <= 4:
        raise ValueError(
            f"{store.path} has frames of {store.frames.row[-1]} channels: the pictures of the parquet layout have 1 "
            "to 4."
        )


def _own_columns(store: RolloutStore) -> list[str]:
    """List the additional columns that an import needs to restore the store: ends of episodes, seeds, keys, and native
    actions that differ from the table's.
    """
    table = store.episode_table
    found = ["episode_index"]
    if (table["seed"] >= 0).any():
        found.append("episode_seed")
    if (table["key"] >= 0).all():
        found.append("episode_key")
    if store.actions is None:
        action, native = store.action[:], store.action_native[:]
        rows = (
            np.array([*store.origin.action_table, (0,) * 7], np.int16)[action]
            if store.origin.action_table
            else np.zeros_like(native)
        )
        if not np.array_equal(rows, native):
            found.append("action_native")
    taken = set(found) & set(store.attributes["extra"])
    if taken:
        raise ValueError(
            f"{store.path} has an extra column {sorted(taken)[0]!r}: the export uses this name for a column of its own."
        )
    return found


def _refill(store: RolloutStore, sizes: Sequence[int]) -> list[list[Part]]:
    """Find the parts (episode, first row, row after the last) that fill files of given numbers of rows, in order."""
    groups: list[list[Part]] = []
    number, start = 0, 0
    lengths: list[int] = store.episode_table["rows"].tolist()
    for size in sizes:
        parts: list[Part] = []
        while size and number < len(lengths):
            take = min(size, lengths[number] - start)
            parts.append((number, start, start + take))
            size, start = size - take, start + take
            if start == lengths[number]:
                number, start = number + 1, 0
        groups.append(parts)
    return groups


def _schema(store: RolloutStore, names: Iterable[str]) -> pa.Schema:
    known = {
        "observation": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "action": pa.int32(),
        "reward": pa.from_numpy_dtype(store.reward.dtype),
        "terminated": pa.bool_(),
        "truncated": pa.bool_(),
        "instruction": pa.string(),
        "restart": pa.bool_(),
        "episode_index": pa.int64(),
        "episode_seed": pa.int64(),
        "episode_key": pa.int64(),
        "action_native": pa.list_(pa.int16()),
    }
    fields = []
    for name in names:
        if name in store.attributes["extra"]:
            dtype, shape = store.attributes["extra"][name]
            inner = pa.from_numpy_dtype(np.dtype(dtype))
            fields.append(pa.field(name, pa.list_(inner) if shape else inner))
        else:
            fields.append(pa.field(name, known[name]))
    return pa.schema(fields)


def _features(schema: pa.Schema) -> Mapping[str, Any]:
    """Make the Hugging Face hub's description of the columns."""
    features: dict[str, Any] = {}
    for field in schema:
        if field.name == "observation":
            features[field.name] = {"_type": "Image"}
        elif pa.types.is_list(field.type):
            features[field.name] = {
                "feature": {"dtype": str(field.type.value_type), "_type": "Value"},
                "_type": "Sequence",
            }
        else:
            dtype = {"float": "float32", "double": "float64", "halffloat": "float16"}.get(
                str(field.type), str(field.type)
            )
            features[field.name] = {"dtype": dtype, "_type": "Value"}
    return features


def _table(store: RolloutStore, number: int, names: Sequence[str], schema: pa.Schema, every_row: bool) -> pa.Table:
    episode = store.episode_at(number)
    rows = episode.rows if every_row else episode.length
    low = int(store.episode_table["start"][number])
    said = episode.instruction
    columns: dict[str, Any] = {
        "observation": [{"bytes": encode_png(frame), "path": None} for frame in episode.frames[:rows]],
        **{
            name: store.column(name).read(low, low + rows)
            for name in ("action", "reward", "terminated", "truncated", "restart")
        },
        "instruction": [said] * rows if isinstance(said, str) else list(said)[:rows],
        "episode_index": np.full(rows, number),
        "episode_seed": np.full(rows, episode.seed),
        "episode_key": np.full(rows, episode.key),
    }
    if "action_native" in names:
        columns["action_native"] = store.action_native.read(low, low + rows)
    columns |= {name: values[:rows] for name, values in episode.extra.items()}
    return pa.table([_array(columns[name], schema.field(name).type) for name in names], schema=schema)


def _array(values: Any, kind: Any) -> pa.Array:
    return pa.array(list(values) if isinstance(values, np.ndarray) and values.ndim > 1 else values, kind)
