"""The writer of a rollout store: append-only, one commit record, safe against a kill at any moment.

An append writes frames and columns past the committed rows first and replaces the group's `zarr.json` last, in one rename: its attribute `commit`
says how many rows count. TensorStore replaces whole files too, so committed rows survive whatever happens before the commit, and rows after it
count for nothing and are overwritten by the next append.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.episode import Episode, checksum, native_actions
from flexlam_rl.datasets.errors import StoreError
from flexlam_rl.datasets.files import FolderLock, disk_errors, read_json, write_json
from flexlam_rl.datasets.schema import (
    ACTION_COLUMNS,
    COLUMN_CHUNK,
    EPISODE_CHUNK,
    EPISODE_COLUMNS,
    SCHEMA,
    STEP_COLUMNS,
    VERSION,
    Origin,
    column_metadata,
    frames_metadata,
    revision,
)

CHUNK = 4  # frames decoded together; docs/data.md has the measurement
SHARD = 4096  # frames a file
CODEC, LEVEL = "zstd", 3


def store_path(root: str | Path, level: str, split: str) -> Path:
    """Folder of one store under a root."""
    return Path(root) / level / f"{split}.zarr"


class RolloutWriter:
    """Appends episodes to the store of one level and split, which is created on first use and continued afterwards.

    Args:
        root: Folder of the collection.
        level, split: Name the store, `<root>/<level>/<split>.zarr`.
        origin: Where the data comes from; a store takes one origin.
        with_actions: False writes action-free video: no actions, no rewards.
        extra: Names, dtypes and row shapes of further columns, {"position": ("float32", (3,))}.
        chunk, shard, codec, compression: Layout of the frames of a new store; an existing one keeps its own.

    Raises:
        StoreLocked: Another writer is open on this store.
        StoreError: The store holds data of another origin, layout or schema version.

    The table of committed episodes' keys is in `keys`: a collection skips what is there. Not safe for threads.
    """

    def __init__(
        self,
        root: str | Path,
        level: str,
        split: str,
        origin: Origin,
        with_actions: bool = True,
        extra: Mapping[str, tuple[str, Sequence[int]]] | None = None,
        chunk: int = CHUNK,
        shard: int = SHARD,
        codec: str = CODEC,
        compression: int = LEVEL,
    ) -> None:
        if chunk < 1 or shard % chunk:
            raise ValueError(f"Shards of {shard} frames cannot hold chunks of {chunk} frames: the first must be a multiple of the second.")
        self.path = store_path(root, level, split)
        self.origin = origin
        self.level, self.split = level, split
        self.with_actions = with_actions
        self._extra = {name: (dtype, tuple(shape)) for name, (dtype, shape) in (extra or {}).items()}
        self._layout = (chunk, shard, codec, compression)
        self._arrays: dict[str, Any] = {}
        self._context: Any = None
        self._started = {"revision": revision(), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.path)
        try:
            self._attributes = self._open()
        except BaseException:
            self._lock.release()
            raise

    @property
    def rows(self) -> int:
        """Committed rows."""
        return int(self._attributes["commit"]["rows"])

    @property
    def episodes(self) -> int:
        """Committed episodes."""
        return int(self._attributes["commit"]["episodes"])

    @property
    def steps(self) -> int:
        """Committed actions."""
        return int(self._attributes["commit"]["steps"])

    def append_episode(self, episode: Episode) -> None:
        """Store and commit one episode: see `append_episodes`."""
        self.append_episodes([episode])

    def append_episodes(self, episodes: Iterable[Episode]) -> None:
        """Store episodes and commit them together; one commit for many is cheaper than one each.

        Raises:
            ValueError: An episode's columns do not fit each other or the store, or its key is in the store.
            DiskFull: Nothing of this call is stored, everything before it stays.
        """
        batch = [self._prepare(episode) for episode in episodes]
        if not batch:
            return
        keys = [episode.key for episode, _ in batch if episode.key >= 0]
        for key in keys:
            if key in self.keys or keys.count(key) > 1:
                raise ValueError(f"Episode {key} is already in {self.path}: a store takes a key once.")
        with disk_errors(self.path):
            self._write(batch)
        self.keys.update(keys)

    def close(self) -> None:
        """Give the store back; may be called again. Everything appended is committed already."""
        self._arrays.clear()
        self._lock.release()

    def __enter__(self) -> "RolloutWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> dict[str, Any]:
        file = self.path / "zarr.json"
        if not file.exists():
            for folder in self.path.iterdir():  # what a writer left that died while it created the store
                if folder.is_dir():
                    shutil.rmtree(folder)
            self.keys: set[int] = set()
            return self._new_attributes()
        attributes: dict[str, Any] = read_json(file).get("attributes", {})
        where = str(self.path)
        if attributes.get("schema") != SCHEMA or attributes.get("version") != VERSION:
            found = f"{attributes.get('schema')!r} version {attributes.get('version')!r}"
            raise StoreError(f"{where} has the schema {found}: this writer continues {SCHEMA!r} version {VERSION}.")
        Origin.from_attributes(attributes["origin"]).check_same(self.origin, where)
        if attributes["with_actions"] != self.with_actions:
            raise StoreError(
                f"{where} was written with_actions={attributes['with_actions']}, the writer has {self.with_actions}: use another folder."
            )
        stored = {name: (dtype, tuple(shape)) for name, (dtype, shape) in attributes["extra"].items()}
        if stored != self._extra:
            raise StoreError(f"{where} has the extra columns {stored}, the writer {self._extra}: they must be the same.")
        for name in ("source", "references"):  # what may grow with the store
            if getattr(self.origin, name):
                attributes["origin"][name] = getattr(self.origin, name)
        attributes["writers"].append({**self._started, "first_episode": attributes["commit"]["episodes"]})
        if attributes["frame_shape"]:
            self._open_arrays(attributes, create=False)
            keys = self._arrays["episodes/key"].read().result()
            self.keys = {int(key) for key in keys[: attributes["commit"]["episodes"]] if key >= 0}
        else:
            self.keys = set()
        return attributes

    def _new_attributes(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "level": self.level,
            "split": self.split,
            "origin": self.origin.attributes(),
            "with_actions": self.with_actions,
            "extra": {name: [dtype, list(shape)] for name, (dtype, shape) in self._extra.items()},
            "frame_shape": [],
            "writers": [{**self._started, "first_episode": 0}],
            "instructions": [""],
            "commit": {"rows": 0, "episodes": 0, "steps": 0, "digest": hashlib.sha256(SCHEMA.encode()).hexdigest()},
        }

    def _open_arrays(self, attributes: dict[str, Any], create: bool) -> None:
        import tensorstore as ts

        if self._context is None:
            # no cache: an append touches each chunk once
            self._context = ts.Context({"cache_pool": {"total_bytes_limit": 0}})
        shape = tuple(attributes["frame_shape"])
        specs = {"frames": frames_metadata(shape, *self._layout)} if create else {"frames": {}}
        specs |= {name: column_metadata(*STEP_COLUMNS[name], COLUMN_CHUNK) for name in self._step_columns()}
        specs |= {f"extra/{name}": column_metadata(dtype, row, COLUMN_CHUNK) for name, (dtype, row) in self._extra.items()}
        specs |= {f"episodes/{name}": column_metadata(dtype, (), EPISODE_CHUNK) for name, dtype in EPISODE_COLUMNS.items()}
        opened = {}
        for name, metadata in specs.items():
            spec: dict[str, Any] = {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": f"{(self.path / name).resolve()}/"},  # it takes no ".."
                # an all-zero chunk is stored too: a chunk that is not there is a lost one
                "store_data_equal_to_fill_value": True,
            }
            if create:
                spec |= {"metadata": metadata}
            opened[name] = ts.open(spec, context=self._context, open=not create, create=create, delete_existing=create)
        self._arrays = {name: future.result() for name, future in opened.items()}
        if not create:
            commit = attributes["commit"]
            for name, array in self._arrays.items():
                length = commit["episodes" if name.startswith("episodes/") else "rows"]
                if array.shape[0] < length:
                    raise StoreError(f"{self.path / name} holds {array.shape[0]} rows, its commit record says {length}: run flexlam data validate.")
                # unfinished work of a writer that died
                self._arrays[name] = array.resize(exclusive_max=[length, *array.shape[1:]], resize_metadata_only=True).result()

    def _step_columns(self) -> list[str]:
        return [name for name in STEP_COLUMNS if self.with_actions or name not in ACTION_COLUMNS]

    def _prepare(self, episode: Episode) -> tuple[Episode, dict[str, np.ndarray]]:
        """Check an episode and lay its columns out as they are stored."""
        episode.check()
        shape = list(episode.frames.shape[1:])
        if self._attributes["frame_shape"] not in ([], shape):
            raise ValueError(f"Frames of shape {tuple(shape)} do not fit {self.path}: it has {tuple(self._attributes['frame_shape'])}.")
        if set(episode.extra) != set(self._extra):
            raise ValueError(f"An episode has the extra columns {sorted(episode.extra)}: {self.path} has {sorted(self._extra)}.")
        if not self.with_actions:
            episode = replace(episode, action=None, action_native=None, reward=None)
        rows, length = episode.rows, episode.length
        columns = {name: np.zeros((rows, *STEP_COLUMNS[name][1]), STEP_COLUMNS[name][0]) for name in self._step_columns()}
        if self.with_actions:
            if episode.reward is None or (episode.action is None and episode.action_native is None):
                raise ValueError("An episode without actions or rewards: expected both, or a writer made with with_actions=False.")
            columns["reward"][:length] = episode.reward
            columns["action"][:] = -1
            native = episode.action_native
            if episode.action is not None:
                # a table of no rows is a native action set, or imported data whose table is unknown
                if self.origin.action_table:
                    from_table = native_actions(episode.action, self.origin.action_table, self.origin.action_set)
                    native = from_table if native is None else native
                columns["action"][:length] = episode.action
            if native is not None:
                columns["action_native"][:length] = native
        if episode.restart is not None:
            columns["restart"][:] = episode.restart
        last = max(length - 1, 0)  # video of a single frame has no step at all
        columns["terminated"][last] = episode.terminated
        columns["truncated"][last] = episode.truncated
        for name, (dtype, row) in self._extra.items():
            column = np.asarray(episode.extra[name])
            if column.shape != (rows, *row):
                raise ValueError(f"Extra column {name} of an episode has shape {column.shape}: expected {(rows, *row)}.")
            columns[f"extra/{name}"] = column.astype(dtype, copy=False)
        return episode, columns

    def _write(self, batch: list[tuple[Episode, dict[str, np.ndarray]]]) -> None:
        attributes: dict[str, Any] = json.loads(json.dumps(self._attributes))  # changed only when it is committed
        if not attributes["frame_shape"]:
            attributes["frame_shape"] = list(batch[0][0].frames.shape[1:])
            self._open_arrays(attributes, create=True)
            for group in ["episodes", *(["extra"] if self._extra else [])]:
                write_json(self.path / group / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {}})
        commit = attributes["commit"]
        table = {text: number for number, text in enumerate(attributes["instructions"])}
        start, number = commit["rows"], commit["episodes"]
        parts: dict[str, list[np.ndarray]] = {"frames": []}
        for offset, (episode, columns) in enumerate(batch):
            if episode.frames.shape[1:] != tuple(attributes["frame_shape"]):
                raise ValueError(f"Frames of shape {episode.frames.shape[1:]} do not fit {self.path}: it has {tuple(attributes['frame_shape'])}.")
            texts = [episode.instruction] if isinstance(episode.instruction, str) else episode.instruction
            columns["instruction"][:] = [table.setdefault(text, len(table)) for text in texts]
            columns["episode"][:] = number + offset
            digested = [columns[name] for name in ACTION_COLUMNS if name in columns]
            entry = {
                "start": commit["rows"],
                "rows": episode.rows,
                "length": episode.length,
                "return": float(columns["reward"].sum(dtype=np.float64)) if "reward" in columns else 0.0,
                "seed": episode.seed,
                "key": episode.key,
                "crc": checksum(episode.frames, *digested),
            }
            parts["frames"].append(episode.frames)
            for name, column in columns.items():
                parts.setdefault(name, []).append(column)
            for name, value in entry.items():
                parts.setdefault(f"episodes/{name}", []).append(np.array([value], EPISODE_COLUMNS[name]))
            commit["rows"] += episode.rows
            commit["episodes"] += 1
            commit["steps"] += episode.length
            commit["digest"] = hashlib.sha256(f"{commit['digest']} {json.dumps(entry, sort_keys=True)}".encode()).hexdigest()
        attributes["instructions"] = list(table)
        self._append(start, number, parts)
        write_json(self.path / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})
        self._attributes = attributes

    def _append(self, start: int, number: int, parts: dict[str, list[np.ndarray]]) -> None:
        data = {name: pieces[0] if len(pieces) == 1 else np.concatenate(pieces) for name, pieces in parts.items()}
        begin = {name: number if name.startswith("episodes/") else start for name in data}
        grown = {
            name: self._arrays[name].resize(exclusive_max=[begin[name] + len(data[name]), *self._arrays[name].shape[1:]], resize_metadata_only=True)
            for name in data
        }
        self._arrays.update({name: future.result() for name, future in grown.items()})
        futures = [self._arrays[name][begin[name] : begin[name] + len(data[name])].write(data[name]) for name in data]
        error = None
        for future in futures:  # all of them end before the caller hears of the first failure
            try:
                future.result()
            except Exception as failure:
                error = error or failure
        if error is not None:
            raise error
