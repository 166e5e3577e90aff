"""Import and export of the Hugging Face parquet layout of the public DMLab expert data.

Columns: `observation` (struct of PNG bytes and path: the hub's Image feature), `action` int32, `reward` float32, `terminated`, `truncated` bool, one
row an action; row t holds the observation before action t and the reward that it brought. Known further columns: `map_frame_number` (falls where the
map restarted), `restart` (true where it did; in this project's own exports) and `instruction`. Every other column of numbers is kept as an extra
column, so that nothing is lost on the way back.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flexlam_rl.datasets.alignment import check_alignment
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.files import Progress, atomic_file, begin_export, disk_errors, no_progress
from flexlam_rl.datasets.pictures import decode_all, encode_png
from flexlam_rl.datasets.restarts import infer_restarts
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter

REQUIRED = ("observation", "action", "reward", "terminated", "truncated")
OURS = "flexlam_rl"  # key of a schema's metadata that holds where a store came from
ROW_GROUP = 200
ALIGNMENT_ROWS = 600  # of each file
_PART = re.compile(r"-\d{5}-of-\d{5}\.parquet$")
Trust = Literal["check", "trust"]


@dataclass(frozen=True)
class _Layout:
    """Columns of a set of files: names in order, and what the extra ones hold."""

    names: tuple[str, ...]
    extra: dict[str, tuple[str, tuple[int, ...]]]


def import_parquet(
    files: str | Path | Sequence[str | Path],
    root: str | Path,
    level: str,
    split: str,
    origin: Origin,
    *,
    alignment: Trust = "check",
    shift: int = 0,
    restarts: Literal["auto", "rules", "none"] = "auto",
    one_stream: bool | None = None,
    progress: Progress = no_progress,
    **layout: Any,
) -> RolloutStore:
    """Import parquet files into the store of a level and split. Run again after an interruption, it continues.

    Args:
        files: A file, a folder of them, or a list; they are read in the order of their names.
        root, level, split: The store.
        origin: Where the data comes from; its action table serves the alignment check.
        alignment: "check" recovers the alignment of actions from the frames of each file and refuses shifted data; "trust" does not.
        shift: Take the action of row t from row t + shift (for data that the check found shifted); the rows that lose theirs are dropped.
        restarts: "auto" uses `restart` or `map_frame_number` where one is there and else the rules of the level (`restarts`), "rules" always the
        rules, "none" no restarts.
        one_stream: Whether episodes run across files; None decides by the hub's names (`train-00000-of-00012.parquet`).
        progress: Told the rows read and the rows of all files.
        **layout: chunk, shard, codec, compression of a new store.

    Raises:
        Misaligned: Actions do not lead from the frame of their row to the next.
        StoreError, ValueError: Files or columns that do not fit.
    """
    paths = parquet_files(files)
    columns = _layout(paths)
    if one_stream is None:
        one_stream = all(_PART.search(path.name) for path in paths)
    described = [{"name": path.name, "rows": pq.read_metadata(path).num_rows, "metadata": _metadata(path)} for path in paths]
    source = {"format": "parquet", "columns": list(columns.names), "files": described, "one_stream": one_stream, "shift": shift}
    told_by = next((name for name in ("restart", "map_frame_number") if name in columns.names), None)
    rules = restarts == "rules" or (restarts == "auto" and told_by is None)
    source["restarts"] = "none" if restarts == "none" else "inferred from rewards" if rules else told_by
    threads = os.cpu_count() or 1
    with (
        RolloutWriter(root, level, split, replace(origin, source=source), extra=columns.extra, **layout) as writer,
        ThreadPoolExecutor(threads) as pool,
    ):
        if alignment == "check":
            for path in paths:
                _check(path, origin, shift, pool)
        done, total = 0, sum(int(one["rows"]) for one in described)
        for key, piece in enumerate(_episodes(paths, one_stream)):
            progress(done, total)
            done += piece.num_rows
            if key in writer.keys:
                continue
            episode = _episode(piece, columns, key, shift)
            if episode is None:
                continue
            if rules and episode.reward is not None:
                episode.restart = infer_restarts(level, episode.reward, episode.rows)
            elif restarts == "none":
                episode.restart = None
            writer.append_episode(episode)
        progress(done, total)
    return RolloutStore(writer.path)


def exported_from(file: str | Path) -> dict[str, Any]:
    """Level, split and attributes of the origin (`Origin.from_attributes`) that `export_parquet` left in a file; empty for other files."""
    described: dict[str, Any] = json.loads(_metadata(Path(file)).get(OURS, "{}"))
    return described


def parquet_files(files: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files of a folder in the order of their names, or those named.

    Raises:
        ValueError: There are none, or one does not exist.
    """
    if isinstance(files, str | Path):
        files = sorted(Path(files).glob("*.parquet")) if Path(files).is_dir() else [files]
    paths = [Path(file) for file in files]
    if not paths:
        raise ValueError("No parquet files: expected a file, a folder that holds some, or a list.")
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is no file: expected a parquet file.")
        try:
            pq.read_schema(path)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} cannot be read as parquet ({error})") from None
    return paths


def _layout(paths: list[Path]) -> _Layout:
    schema = pq.read_schema(paths[0])
    missing = [name for name in REQUIRED if name not in schema.names]
    if missing:
        raise ValueError(f"{paths[0]} has no column {missing[0]!r}: expected {', '.join(REQUIRED)}.")
    for path in paths[1:]:
        if not pq.read_schema(path).equals(schema):
            raise ValueError(f"{path} has other columns than {paths[0]}: files of one store have the same.")
    first = next(pq.ParquetFile(paths[0]).iter_batches(1), None)
    extra: dict[str, tuple[str, tuple[int, ...]]] = {}
    for field in schema:
        if field.name in (*REQUIRED, "instruction", "restart"):
            continue
        listed = pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
        inner = field.type.value_type if listed else field.type
        if not (pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_boolean(inner)):
            raise ValueError(f"Column {field.name!r} of {paths[0]} has the type {field.type}: expected numbers, or lists of as many in every row.")
        shape = (len(first.column(field.name)[0]),) if listed and first is not None else ()
        extra[field.name] = (str(np.dtype(inner.to_pandas_dtype())), shape)
    return _Layout(tuple(schema.names), extra)


def _metadata(path: Path) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (pq.read_schema(path).metadata or {}).items()}


def _check(path: Path, origin: Origin, shift: int, pool: ThreadPoolExecutor) -> None:
    """Check the alignment in the middle of a file."""
    if not origin.action_table:
        raise ValueError(f"The alignment of {path} cannot be checked without an action table: give one in the origin, or alignment='trust'.")
    table = pq.read_table(path, columns=[*REQUIRED, *({"map_frame_number", "restart"} & set(pq.read_schema(path).names))])
    table = table.slice(max(0, table.num_rows - ALIGNMENT_ROWS) // 2, ALIGNMENT_ROWS)
    frames = decode_all(_pictures(table), pool)
    actions = table["action"].to_numpy()
    moved = np.full(len(actions), -1)
    at = np.arange(len(actions)) + shift
    moved[(at >= 0) & (at < len(actions))] = actions[at[(at >= 0) & (at < len(actions))]]
    usable = ~(table["terminated"].to_numpy() | table["truncated"].to_numpy())
    if "restart" in table.column_names:
        usable[:-1] &= ~table["restart"].to_numpy()[1:]
    if "map_frame_number" in table.column_names:
        usable[:-1] &= np.diff(table["map_frame_number"].to_numpy()) >= 0
    check_alignment(frames, moved, origin.action_table, usable, str(path))


def _episodes(paths: list[Path], one_stream: bool) -> Iterator[pa.Table]:
    """Tables of one episode each.

    They are cut after terminated or truncated rows (and a last frame behind them), and at the ends of files or of the stream.
    """
    kept: list[pa.Table] = []
    ended, last = False, False  # of the row before: the episode's last action, or the frame after it

    def rest() -> Iterator[pa.Table]:
        episode = pa.concat_tables(kept) if kept else None
        kept.clear()
        if episode is not None and len(episode):
            yield episode

    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(1024):
            table = pa.Table.from_batches([batch])
            ends = np.append(ended, table["terminated"].to_numpy() | table["truncated"].to_numpy())
            frame = np.append(last, table["action"].to_numpy() == -1)
            start = 0
            for begin in np.flatnonzero((ends[:-1] & ~frame[1:]) | frame[:-1]).tolist():
                kept.append(table.slice(start, begin - start))
                start = begin
                yield from rest()
            kept.append(table.slice(start))
            ended, last = bool(ends[-1]), bool(frame[-1])
        if not one_stream:
            yield from rest()
            ended = last = False
    yield from rest()


def _pictures(table: pa.Table) -> list[bytes]:
    return [row["bytes"] for row in table["observation"].to_pylist()]


def _episode(table: pa.Table, columns: _Layout, key: int, shift: int) -> Episode | None:
    """An episode of a table; None where the shift leaves no row."""
    values = {name: _numbers(table[name]) for name in columns.names if name not in ("observation", "instruction")}
    size = table.num_rows
    keep = slice(max(0, -shift), size - max(0, shift))
    if keep.stop <= keep.start:
        return None
    action = values["action"][keep.start + shift : keep.stop + shift]
    if shift:
        table = table.slice(keep.start, keep.stop - keep.start)
        values = {name: column[keep] for name, column in values.items()}
    if (np.abs(action) > np.iinfo(np.int16).max).any():
        raise ValueError(f"Action {action[np.abs(action).argmax()]} of imported data: expected the number of an action.")
    rows = table.num_rows
    length = rows - int(action[-1] == -1)  # a row without an action is the last observation (see `export_parquet`)
    restart = None
    if "restart" in values:
        restart = values["restart"]
    elif "map_frame_number" in values:
        restart = np.append(False, np.diff(values["map_frame_number"].astype(np.int64)) < 0)
    texts = table["instruction"].to_pylist() if "instruction" in columns.names else ""
    return Episode(
        frames=decode_all(_pictures(table)),
        action=action[:length].astype(np.int16),
        reward=values["reward"][:length].astype(np.float32),
        terminated=bool(values["terminated"].any()),
        truncated=bool(values["truncated"].any()),
        restart=restart,
        instruction=texts,
        key=key,
        extra={name: values[name] for name in columns.extra},
    )


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), -1)
    return column.to_numpy()


def export_parquet(
    store: RolloutStore,
    folder: str | Path,
    *,
    last_frames: Literal["drop", "row"] = "drop",
    episodes_per_file: int = 64,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write a store in the parquet layout. Run again after an interruption, it continues with the file that is missing.

    Args:
        store: Any store with actions. One that was imported from parquet gets its files back under their names, with their schema metadata.
        folder: Made if it is not there.
        last_frames: The layout has one row an action, so it has no place for the observation after the last: "drop" leaves it out, "row" adds a
            row for it with action -1, which `import_parquet` understands.
        episodes_per_file: Of other stores, whose files are named as the hub names them.
        progress: Told the files written and their number.

    Returns:
        The files.
    """
    folder = Path(folder)
    source = store.origin.source
    came = source.get("format") == "parquet" and sum(described["rows"] for described in source["files"]) == store.rows
    plan: list[tuple[str, Mapping[str, str], list[tuple[int, int, int | None]]]] = []
    names = tuple(source["columns"]) if came else (*REQUIRED, "instruction", "restart", *store.attributes["extra"])
    numbers = range(store.episodes)
    if came:
        groups = _refill(store, [described["rows"] for described in source["files"]])
        plan = [(described["name"], described["metadata"], parts) for described, parts in zip(source["files"], groups, strict=True)]
    else:
        count = -(-store.episodes // episodes_per_file)
        about = {"huggingface": json.dumps({"info": {"features": _features(store, names)}})}
        about[OURS] = json.dumps({"level": store.level, "split": store.split, **store.origin.attributes()})
        for i in range(count):
            parts: list[tuple[int, int, int | None]] = [(number, 0, None) for number in numbers[i * episodes_per_file : (i + 1) * episodes_per_file]]
            plan.append((f"{store.split}-{i:05d}-of-{count:05d}.parquet", about, parts))
    written = []
    with disk_errors(folder):
        options = {"digest": store.digest, "last_frames": last_frames, "episodes_per_file": episodes_per_file}
        there = begin_export(folder, store.split, [name for name, _, _ in plan], options)
        for number_of_file, (name, metadata, parts) in enumerate(plan):
            progress(number_of_file, len(plan))
            written.append(folder / name)
            if name in there:
                continue
            schema = _schema(store, names).with_metadata(metadata)
            with atomic_file(folder / name) as file, pq.ParquetWriter(file, schema) as writer:
                for number, start, stop in parts:
                    table = _table(store, number, names, schema, last_frames == "row")
                    writer.write_table(table.slice(start, None if stop is None else stop - start), row_group_size=ROW_GROUP)
        progress(len(plan), len(plan))
    return written


def _refill(store: RolloutStore, sizes: Sequence[int]) -> list[list[tuple[int, int, int | None]]]:
    """Which parts (episode, first row, last row) fill files of the given numbers of rows, in order."""
    groups: list[list[tuple[int, int, int | None]]] = []
    number, start = 0, 0
    lengths: list[int] = store.episode_table["rows"].tolist()
    for size in sizes:
        parts: list[tuple[int, int, int | None]] = []
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
        "reward": pa.float32(),
        "terminated": pa.bool_(),
        "truncated": pa.bool_(),
        "instruction": pa.string(),
        "restart": pa.bool_(),
    }
    fields = []
    for name in names:
        if name in known:
            fields.append(pa.field(name, known[name]))
            continue
        dtype, shape = store.attributes["extra"][name]
        inner = pa.from_numpy_dtype(np.dtype(dtype))
        fields.append(pa.field(name, pa.list_(inner) if shape else inner))
    return pa.schema(fields)


def _features(store: RolloutStore, names: Iterable[str]) -> Mapping[str, Any]:
    """The hub's description of the columns."""
    features: dict[str, Any] = {}
    for field in _schema(store, names):
        if field.name == "observation":
            features[field.name] = {"_type": "Image"}
        elif pa.types.is_list(field.type):
            features[field.name] = {"feature": {"dtype": str(field.type.value_type), "_type": "Value"}, "_type": "Sequence"}
        else:
            dtype = {"float": "float32", "double": "float64"}.get(str(field.type), str(field.type))
            features[field.name] = {"dtype": dtype, "_type": "Value"}
    return features


def _table(store: RolloutStore, number: int, names: Iterable[str], schema: pa.Schema, last_row: bool) -> pa.Table:
    episode = store.episode_at(number)
    rows = episode.rows if last_row else episode.length
    if episode.action is None or episode.reward is None:
        raise ValueError(f"Episode {number} of {store.path} has no discrete actions: the parquet layout needs them.")
    low = int(store.episode_table["start"][number])
    columns: dict[str, Any] = {
        "observation": [{"bytes": encode_png(frame), "path": None} for frame in episode.frames[:rows]],
        "action": store.action.read(low, low + rows).astype(np.int32),
        "reward": store.reward.read(low, low + rows),
        "terminated": store.terminated.read(low, low + rows),
        "truncated": store.truncated.read(low, low + rows),
        "restart": store.restart.read(low, low + rows),
    }
    said = episode.instruction
    columns["instruction"] = [said] * rows if isinstance(said, str) else list(said)[:rows]
    for name, values in episode.extra.items():
        columns[name] = list(values[:rows]) if values.ndim > 1 else values[:rows]
    return pa.table([pa.array(columns[name], schema.field(name).type) for name in names], schema=schema)
