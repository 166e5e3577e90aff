"""Export to LeRobot datasets of version 3.

Legend: `T` actions of an episode, `R` its rows in the dataset, `D` dimensions of an action.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.export_folder import begin_export
from flexlam_rl.datasets.formats.lerobot import layout, stats
from flexlam_rl.datasets.formats.lerobot.choices import Frames, LastFrames
from flexlam_rl.datasets.formats.lerobot.features import Columns
from flexlam_rl.datasets.pictures import encode_png
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress, atomic_path, disk_errors, no_progress, write_json
from flexlam_rl.utils.video import write_video

FILE_BYTES = 100 << 20  # limit of raw frames per data file with pictures
FILE_SECONDS = 500  # limit per video: LeRobot compares times as float32, which is too coarse in longer ones


def losses(store: RolloutStore, frames: Frames, last: LastFrames) -> list[str]:
    """List what an export does not keep, one phrase each."""
    lost = []
    if frames == "video":
        lost.append("frames are lossy H.264 (--frames image keeps every value)")
    if store.with_actions and last == "drop" and (store.episode_table["rows"] > store.episode_table["length"]).any():
        lost.append("the view after each last action is left out (--last-frames row keeps it)")
    if store.restart[:].any():
        lost.append(f"LeRobot has no map restarts, so they are only in the column {layout.RESTART}")
    return lost


def export_lerobot(
    store: RolloutStore,
    folder: str | Path,
    frames: Frames = "video",
    last_frames: LastFrames = "drop",
    progress: Progress = no_progress,
) -> Path:
    """Write a store as a LeRobot dataset. After an interruption, the same call continues.

    Extra columns with pictures become further cameras; other extra columns become features of the same names.

    Args:
        store: A store in which all episodes have actions, or none has.
        folder: Folder to write to; created if it is missing.
        frames: "video" writes mp4 files (lossy), "image" writes PNG pictures into the parquet files (exact).
        last_frames: What to do with the observation after the last action, which has no place in LeRobot's format:
            "drop" leaves it out; "row" adds a row with actions of 0, marked by `flexlam_rl.last`.
        progress: Called with the number of episodes written and the total.

    Returns:
        The folder. With `frames="image"` and `last_frames="row"`, importing it gives the same store.

    Raises:
        ValueError: LeRobot's format cannot hold the frames or a column, or only some episodes have actions.
        StoreError: The folder contains something else.
    """
    folder, columns = Path(folder), Columns(store, frames)
    groups = _groups(store, frames)
    names = {number: [layout.DATA.format(**layout.indices(number))] for number in range(len(groups))}
    if frames == "video":
        for number in names:
            names[number] += [layout.VIDEO.format(video_key=key, **layout.indices(number)) for key in columns.cameras]
    meta = [layout.TASKS, layout.EPISODES.format(**layout.indices(0)), layout.STATS, layout.INFO]
    written = [name for part in names.values() for name in part]
    with disk_errors(folder):
        there = begin_export(folder, store, [*written, *meta], {"frames": frames, "last_frames": last_frames})
        if there >= {*written, *meta}:
            return folder
        for name in (*written, *meta):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        about: list[dict[str, Any]] = []
        measured: list[dict[str, stats.Stats]] = []
        index = 0
        for number, group in enumerate(groups):
            place, start = layout.indices(number), 0
            tables: list[pa.Table] = []
            for episode_number in group:
                progress(episode_number, store.episodes)
                one = store.episode_at(episode_number)
                rows = _rows(one, store.with_actions, last_frames)
                values = columns.of(one, rows) | _counted(store, one, rows, episode_number, index)
                measured.append(columns.stats(one, rows, values))
                about.append(_about(store, columns, episode_number, rows, index, place, start, measured[-1]))
                if names[number][0] not in there:
                    tables.append(_table(columns, one, rows, values))
                index, start = index + rows, start + rows
            if tables:
                with atomic_path(folder / names[number][0]) as temporary:
                    pq.write_table(pa.concat_tables(tables), temporary, compression="snappy")
            for key, name in zip(columns.cameras, names[number][1:], strict=False):
                if name not in there:
                    pictures = _pictures(store, columns, key, group, last_frames)
                    write_video(folder / name, pictures, fps=store.fps)
        _write_meta(folder, store, columns, about, measured, index)
    progress(store.episodes, store.episodes)
    return folder


def _groups(store: RolloutStore, frames: Frames) -> list[list[int]]:
    """Group episodes into files within the limits of a file."""
    most = FILE_SECONDS * store.fps if frames == "video" else FILE_BYTES / int(np.prod(store.frames.row))
    groups: list[list[int]] = []
    rows = 0
    for number, count in enumerate(store.episode_table["rows"].tolist()):
        if not groups or rows + count > most:
            groups.append([])
            rows = 0
        groups[-1].append(number)
        rows += count
    return groups


def _rows(one: Episode, with_actions: bool, last: LastFrames) -> int:
    """Number of rows of an episode in the dataset."""
    return one.rows if not with_actions or last == "row" else one.length


def _counted(store: RolloutStore, one: Episode, rows: int, number: int, index: int) -> dict[str, np.ndarray]:
    texts = {text: i for i, text in enumerate(store.instructions)}
    said = [one.instruction] * one.rows if isinstance(one.instruction, str) else list(one.instruction)
    step = np.arange(rows, dtype=np.int64)
    return {
        "timestamp": (step / store.fps).astype(np.float32),
        "frame_index": step,
        "episode_index": np.full(rows, number, np.int64),
        "index": index + step,
        "task_index": np.array([texts[text] for text in said[:rows]], np.int64),
    }


def _table(columns: Columns, one: Episode, rows: int, values: dict[str, np.ndarray]) -> pa.Table:
    arrays: dict[str, pa.Array] = {}
    if columns.frames == "image":
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        for key in columns.cameras:
            pictures = columns.pictures(one, key)[:rows]
            encoded = [{"bytes": encode_png(frame), "path": f"frame-{i:06d}.png"} for i, frame in enumerate(pictures)]
            arrays[key] = pa.array(encoded, kind)
    for name, array in values.items():
        flat = pa.array(np.ascontiguousarray(array).reshape(-1))
        size = int(np.prod(array.shape[1:]))
        arrays[name] = pa.FixedSizeListArray.from_arrays(flat, size) if array.ndim > 1 and size > 1 else flat
    return pa.table(arrays)


def _pictures(
    store: RolloutStore, columns: Columns, key: str, group: list[int], last: LastFrames
) -> Iterator[np.ndarray]:
    for number in group:
        one = store.episode_at(number)
        yield from columns.pictures(one, key)[: _rows(one, store.with_actions, last)]


def _about(
    store: RolloutStore, columns: Columns, number: int, rows: int, index: int, place: dict[str, int], start: int,
    measured: dict[str, stats.Stats],
) -> dict[str, Any]:  # fmt: skip
    """Make an episode's row of the table of episodes."""
    table = {name: column[number].item() for name, column in store.episode_table.items()}
    low = table["start"]
    texts = [store.instructions[i] for i in np.unique(store.instruction.read(low, low + rows))]
    entry: dict[str, Any] = {
        "episode_index": number,
        "tasks": texts,
        "length": rows,
        "dataset_from_index": index,
        "dataset_to_index": index + rows,
        f"{layout.OURS}.seed": table["seed"],
        f"{layout.OURS}.key": table["key"],
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    entry |= {f"data/{name}": value for name, value in place.items()}
    for key in columns.cameras if columns.frames == "video" else ():
        times = {"from_timestamp": start / store.fps, "to_timestamp": (start + rows) / store.fps}
        entry |= {f"videos/{key}/{name}": value for name, value in (place | times).items()}
    flat = {f"stats/{name}/{key}": value for name, one in stats.plain(measured).items() for key, value in one.items()}
    return entry | flat


def _write_meta(
    folder: Path, store: RolloutStore, columns: Columns, about: list[dict[str, Any]],
    measured: list[dict[str, stats.Stats]], frames: int,
) -> None:  # fmt: skip
    """Write the dataset's metadata; info.json comes last, because its presence makes the folder a dataset."""
    for name, table in (
        (layout.TASKS, layout.tasks_table(store.instructions)),
        (layout.EPISODES.format(**layout.indices(0)), pa.Table.from_pylist(about)),
    ):
        with atomic_path(folder / name) as temporary:
            pq.write_table(table, temporary)
    write_json(folder / layout.STATS, stats.plain(stats.together(measured)))
    rate: float = round(store.fps) if store.fps == round(store.fps) else store.fps
    ours = {name: store.attributes[name] for name in ("level", "split", "origin", "extra", "instructions")}
    ours |= {"with_actions": store.with_actions, "columns": columns.names, "frames": columns.frames}
    write_json(
        folder / layout.INFO,
        {
            "codebase_version": layout.VERSION,
            "robot_type": store.origin.env_id or store.origin.engine,
            "total_episodes": store.episodes,
            "total_frames": frames,
            "total_tasks": len(store.instructions),
            "chunks_size": layout.CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": rate,
            "splits": {store.split: f"0:{store.episodes}"},
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if columns.frames == "video" else None,
            "features": columns.features(store.fps),
            layout.OURS: json.loads(json.dumps(ours)),
        },
    )
