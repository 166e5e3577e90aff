"""Layout of a LeRobot dataset of version 3 on disk.

Source: LeRobot's documentation of its dataset format (`LeRobotDataset v3.0`). A folder holds

```
meta/info.json                                  features, frame rate, counts, patterns of the paths below
meta/tasks.parquet                              task texts and their numbers
meta/episodes/chunk-000/file-000.parquet        one row per episode: its rows, its files, its times in the videos
meta/stats.json                                 statistics of the features, for normalization
data/chunk-000/file-000.parquet                 one row per frame of several episodes
videos/<camera>/chunk-000/file-000.mp4          the frames of these episodes, one after another
```
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import read_json

VERSION = "v3.0"
INFO, TASKS, STATS = "meta/info.json", "meta/tasks.parquet", "meta/stats.json"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CHUNK = 1000  # files per folder
CAMERAS = ("video", "image")

ACTION, REWARD, DONE = "action", "next.reward", "next.done"
COUNTED: dict[str, str] = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""Features that every dataset has and that can be computed from the others, with their types."""
OURS = "flexlam_rl"
"""Key in info.json, and prefix of features, for everything that has no place in LeRobot's format."""
NATIVE, TERMINATED, TRUNCATED, RESTART, LAST = (
    f"{OURS}.{name}" for name in ("action_native", "terminated", "truncated", "restart", "last")
)


def read_info(folder: Path) -> dict[str, Any]:
    """Read a dataset's info.json.

    Raises:
        StoreError: The folder contains no LeRobot dataset, or one of another version.
    """
    if not (folder / INFO).is_file():
        raise StoreError(f"{folder} holds no LeRobot dataset: it has no {INFO}.")
    info: dict[str, Any] = read_json(folder / INFO)
    version = info.get("codebase_version")
    if version != VERSION:
        raise StoreError(
            f"{folder} is a LeRobot dataset of version {version!r}: expected {VERSION!r}; the package lerobot converts "
            "older ones."
        )
    return info


def read_tasks(folder: Path) -> dict[int, str]:
    """Read the task texts by number.

    Raises:
        StoreError: The table has no column of numbers, or no column of texts.
    """
    table = pq.read_table(folder / TASKS)
    names = [name for name in table.column_names if name != "task_index"]
    text = "task" if "task" in names else names[0] if len(names) == 1 else "__index_level_0__"
    if "task_index" not in table.column_names or text not in names:
        raise StoreError(f"{folder / TASKS} has the columns {table.column_names}: expected task_index and a text.")
    return dict(zip(table["task_index"].to_pylist(), map(str, table[text].to_pylist()), strict=True))


def tasks_table(texts: Iterable[str]) -> pa.Table:
    """Make the table of tasks with the texts as pandas' index, as LeRobot does."""
    names = list(texts)
    table = pa.table({"task_index": pa.array(range(len(names)), pa.int64()), "task": pa.array(names, pa.string())})
    kinds = {"task_index": "int64", "task": "unicode"}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": kind, "metadata": None}
            for name, kind in kinds.items()
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()})


def read_episodes(folder: Path) -> list[dict[str, Any]]:
    """Read the table of episodes without their statistics, in order.

    Raises:
        StoreError: The table is missing or empty, or an episode is missing.
    """
    rows: list[dict[str, Any]] = []
    for file in sorted((folder / "meta/episodes").glob("*/*.parquet")):
        names = [name for name in pq.read_schema(file).names if not name.startswith("stats/")]
        rows += pq.read_table(file, columns=names).to_pylist()
    rows.sort(key=lambda row: row["episode_index"])
    if not rows or [row["episode_index"] for row in rows] != list(range(len(rows))):
        raise StoreError(f"{folder}/meta/episodes lists {len(rows)} episodes: expected at least one, and none missing.")
    return rows


def indices(number: int) -> dict[str, int]:
    """Find the chunk and the place in it of the file with a given number."""
    return {"chunk_index": number // CHUNK, "file_index": number % CHUNK}
