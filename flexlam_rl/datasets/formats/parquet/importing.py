"""Import of the Hugging Face parquet layout of the public DMLab expert data.

A file has one row per action; row t has the observation before action t and the reward for it. Columns:

- `observation`: struct of PNG bytes and path, the hub's Image feature; the path is not kept;
- `action` int32, `reward` float32, `terminated` bool, `truncated` bool;
- optional: `map_frame_number`, which decreases where the map restarts;
- optional: `restart`, true where the map restarted (in this project's own exports);
- optional: `instruction`;
- optional: `episode_index`, `episode_id` or `episode`; an episode ends where this number changes.

All other columns of numbers become extra columns, so that an export can restore them.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq

from flexlam_rl.datasets.alignment import check_alignment
from flexlam_rl.datasets.formats.parquet.columns import REQUIRED, Layout, flags, numbers, pictures, read_layout
from flexlam_rl.datasets.formats.parquet.episodes import cut, episode_of
from flexlam_rl.datasets.formats.parquet.files import Files, is_part, metadata, of_split
from flexlam_rl.datasets.import_source import stored_lengths
from flexlam_rl.datasets.pictures import decode_all
from flexlam_rl.datasets.restarts import infer_restarts
from flexlam_rl.datasets.rewards import reward_type
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter, store_path
from flexlam_rl.utils.files import Progress, no_progress
from flexlam_rl.utils.numbers import exact

ALIGNMENT_ROWS = 600  # rows of each file that are checked
Trust = Literal["check", "trust"]


def import_parquet(
    files: Files,
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
    """Import parquet files into the store of a level and split. After an interruption, the same call continues.

    Args:
        files: A file, a list, or a folder, whose files of the split are read in the order of their names.
        root, level, split: Folder of the collection, and level and split of the store to write.
        origin: Where the data comes from; its action table is needed for the alignment check.
        alignment: "check" finds the alignment of actions from the frames of each file and refuses shifted data;
            "trust" does not check.
        shift: Take the action of row t from row t + shift, for data that the check found to be shifted. Rows without an
            action are dropped; an episode that loses its last rows loses its end too and counts as cut.
        restarts: Source of map restarts. "auto": the column `restart` or `map_frame_number` if there is one, else the
            level's rules (`datasets.restarts`); "rules": the level's rules; "none": no restarts.
        one_stream: Whether episodes continue from file to file; None decides by the files' names
            (`train-00000-of-00012.parquet`).
        progress: Called with the number of rows read and the total.
        **layout: Options of a new store: chunk, shard, codec, compression, reward. By default, rewards get a type that
            holds those of the files.

    Returns:
        The store.

    Raises:
        Misaligned: Actions do not lead from the frame in their own row to the next one, or the check cannot tell.
        StoreError: The store was imported from other files or with other options.
        ValueError: Files, columns or values are wrong; the message names them.
    """
    paths = of_split(files, split)
    columns = read_layout(paths)
    if one_stream is None:
        one_stream = all(map(is_part, paths))
    described = [
        {"name": path.name, "rows": pq.read_metadata(path).num_rows, "metadata": metadata(path)} for path in paths
    ]
    source: dict[str, Any] = {
        "format": "parquet",
        "columns": list(columns.names),
        "files": described,
        "one_stream": one_stream,
        "shift": shift,
    }
    source["schema"] = pq.read_schema(paths[0]).remove_metadata().serialize().to_pybytes().hex()
    told_by = next((name for name in ("restart", "map_frame_number") if name in columns.names), None)
    rules = restarts == "rules" or (restarts == "auto" and told_by is None)
    source["restarts"] = "none" if restarts == "none" else "inferred from rewards" if rules else told_by
    there = stored_lengths(store_path(root, level, split), source)
    layout.setdefault("reward", reward_type(pq.read_schema(paths[0]).field("reward").type.to_pandas_dtype()))
    if origin.source:
        source["before"] = origin.source
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        if alignment == "check":
            for path in paths:
                _check(path, origin, shift, columns, pool)
        with RolloutWriter(root, level, split, replace(origin, source=source), extra=columns.extra, **layout) as writer:
            done, total = 0, sum(int(one["rows"]) for one in described)
            for number, piece in enumerate(cut(paths, one_stream, columns)):
                progress(done, total)
                done += piece.num_rows
                what = f"episode {number} of {paths[0].parent}"
                key = int(numbers(piece, "episode_key", what)[0]) if "episode_key" in columns.own else number
                rows = piece.num_rows - abs(shift)
                if key in there and there[key] != rows:
                    raise ValueError(
                        f"Episode {key} has {rows} rows in the files but {there[key]} in {writer.path}: import to "
                        "another folder."
                    )
                if key in there or rows < 1:
                    continue
                episode = episode_of(piece, columns, key, shift, writer.reward, what)
                if rules and episode.reward is not None:
                    episode.restart = infer_restarts(level, episode.reward, episode.rows)
                elif restarts == "none":
                    episode.restart = None
                writer.append_episode(episode)
            progress(done, total)
            path = writer.path
    return RolloutStore(path)


def _check(path: Path, origin: Origin, shift: int, columns: Layout, pool: ThreadPoolExecutor) -> None:
    """Check the alignment in the middle of a file."""
    if not origin.action_table:
        raise ValueError(
            f"The alignment of {path} cannot be checked without an action table: give an origin that has one, or "
            "alignment='trust'."
        )
    known = {"map_frame_number", "restart", columns.episode} & set(columns.names)
    table = pq.read_table(path, columns=[*REQUIRED, *sorted(name for name in known if name)])
    table = table.slice(max(0, table.num_rows - ALIGNMENT_ROWS) // 2, ALIGNMENT_ROWS)
    frames = decode_all(pictures(table), pool)
    actions = exact(numbers(table, "action", str(path)), np.int64, f"Action of {path}")
    moved = np.full(len(actions), -1)
    at = np.arange(len(actions)) + shift
    moved[(at >= 0) & (at < len(actions))] = actions[at[(at >= 0) & (at < len(actions))]]
    usable = ~(flags(table, "terminated", str(path)) | flags(table, "truncated", str(path)))
    if "restart" in table.column_names:
        usable[:-1] &= ~flags(table, "restart", str(path))[1:]
    if "map_frame_number" in table.column_names:
        frame = numbers(table, "map_frame_number", str(path))
        usable[:-1] &= frame[1:] >= frame[:-1]
    if columns.episode:
        episode = numbers(table, columns.episode, str(path))
        usable[:-1] &= episode[1:] == episode[:-1]
    check_alignment(frames, moved, origin.action_table, usable, str(path))
