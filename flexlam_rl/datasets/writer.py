"""The writer of a rollout store: append-only, with one commit record, and safe against a kill at any moment.

An append first writes frames and columns beyond the committed rows. It then replaces the group's `zarr.json` in one
rename, whose attribute `commit` has the number of committed rows. Every file is replaced as a whole, so committed rows
survive whatever happens before the commit; rows beyond them are ignored, and the next append overwrites them.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.arrays import append_rows, create_arrays, discard_rows, rows_a_file
from flexlam_rl.datasets.columns import Column
from flexlam_rl.datasets.episode import Episode, checksum
from flexlam_rl.datasets.episode_columns import extra_column, stored_columns
from flexlam_rl.datasets.names import level_folder, split_name
from flexlam_rl.datasets.schema import (
    COLUMN_CHUNK,
    EPISODE_CHUNK,
    EPISODE_COLUMNS,
    SCHEMA,
    VERSIONS,
    Origin,
    action_columns,
    column_metadata,
    compressor,
    extra_metadata,
    frames_metadata,
    step_columns,
)
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import FolderLock, disk_errors, read_json, settled, sweep, write_json
from flexlam_rl.utils.numbers import int64
from flexlam_rl.utils.provenance import revision

CHUNK = 4  # frames per chunk, which are decoded together; docs/data.md has the measurement
SHARD = 4096  # frames per file
CODEC, LEVEL = "zstd", 3


def store_path(root: str | Path, level: str, split: str) -> Path:
    """Find the folder of a store.

    Args:
        root: Folder of the collection.
        level, split: Names of the level and split.

    Raises:
        ValueError: Level or split cannot be the name of a folder.
    """
    return settled(root) / level_folder(level) / f"{split_name(split)}.zarr"


class RolloutWriter:
    """Appends episodes to the store of one level and split, which is created by the first writer.

    A writer must not be shared by threads. It cannot be copied, and belongs to the process that made it: a forked
    process makes its own.

    Args:
        root: Folder of the collection.
        level, split: Names of the level, with or without `contributed/dmlab30/`, and the split. The store is
            `<root>/<level>/<split>.zarr`.
        origin: Where the data comes from; a store has one origin.
        with_actions: False writes video without actions and rewards. Stores with actions may also contain episodes
            without them (partly labeled data).
        extra: Types and row shapes of extra columns, {"position": ("float32", (3,))}.
        chunk, shard, codec, compression: Layout of the frames of a new store: frames per chunk and per file, codec and
            its level as for `schema.compressor`; an existing store keeps its own.
        reward: Type of the rewards of a new store, "float32" or "float64" (float32 cannot hold 0.1 exactly); an
            existing store keeps its own.

    Raises:
        ValueError: An argument has a wrong value.
        StoreLocked: Another writer is open on this store.
        StoreError: The store has data of another origin, other columns or another schema version.
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
        reward: str = "float32",
    ) -> None:
        chunk, shard = int64(chunk, "chunk", low=1), int64(shard, "shard", low=1)
        if shard % chunk:
            raise ValueError(
                f"Shards of {shard} frames cannot hold chunks of {chunk} frames: the first must be a multiple of the "
                "second."
            )
        if reward not in ("float32", "float64"):
            raise ValueError(f"reward is {reward!r}: expected 'float32' or 'float64'.")
        self.path = store_path(root, level, split)
        self._origin = replace(origin)
        self.level, self.split = level_folder(level), split_name(split)
        self.with_actions = bool(with_actions)
        self.reward = reward
        self._version = VERSIONS[self.with_actions and origin.actions is not None]
        self._extra = {name: extra_column(name, dtype, shape) for name, (dtype, shape) in (extra or {}).items()}
        self._layout = (chunk, shard, codec, int64(compression, "compression"))
        compressor(*self._layout[2:], 1)
        self._process = os.getpid()
        self._started = {"revision": revision(), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.path)
        self._closed = False
        try:
            self._attributes = self._open()
        except BaseException:
            self._lock.release()
            raise

    @property
    def origin(self) -> Origin:
        """A copy of the description of where the data comes from."""
        return replace(self._origin)

    @property
    def rows(self) -> int:
        """Number of committed rows."""
        return int(self._attributes["commit"]["rows"])

    @property
    def episodes(self) -> int:
        """Number of committed episodes."""
        return int(self._attributes["commit"]["episodes"])

    @property
    def steps(self) -> int:
        """Number of committed actions."""
        return int(self._attributes["commit"]["steps"])

    def append_episode(self, episode: Episode) -> None:
        """Store and commit one episode, as `append_episodes` does."""
        self.append_episodes([episode])

    def append_episodes(self, episodes: Iterable[Episode]) -> None:
        """Store episodes and commit them together, which costs less than one commit per episode.

        Raises:
            ValueError: An episode's columns do not fit each other or the store, or its key is already in the store.
            StoreError: The writer is closed, or was made before a fork.
            DiskFull: The disk is full. No episode of this call is stored; earlier ones are kept.
        """
        self.check_process()
        batch = [self._prepare(episode) for episode in episodes]
        if not batch:
            return
        keys = [episode.key for episode, _ in batch if episode.key >= 0]
        for key in keys:
            if key in self._keys or keys.count(key) > 1:
                raise ValueError(f"Episode {key} is already in {self.path}: a store accepts each key once.")
        with disk_errors(self.path):
            self._write(batch)
        self._keys.update(keys)

    @property
    def keys(self) -> frozenset[int]:
        """Keys of the committed episodes, which a continued collection can skip."""
        return frozenset(self._keys)

    def check_process(self) -> None:
        """Check that this process may write.

        Raises:
            StoreError: The writer is closed, or was made before a fork.
        """
        if os.getpid() != self._process:
            raise StoreError(
                f"The writer of {self.path} was made before a fork, by process {self._process}: make another one in "
                "this process."
            )
        if self._closed:
            raise StoreError(f"The writer of {self.path} is closed: make another one.")

    def close(self) -> None:
        """Release the store; further calls do nothing. All appended episodes are already committed."""
        self._closed = True
        self._lock.release()

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(f"The writer of {self.path} cannot be copied or pickled: a store has one writer at a time.")

    def __enter__(self) -> "RolloutWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> dict[str, Any]:
        file = self.path / "zarr.json"
        if not file.exists():
            for folder in self.path.iterdir():  # left by a writer that died while it created the store
                if folder.is_dir():
                    shutil.rmtree(folder)
            sweep(self.path)
            self._keys: set[int] = set()
            return self._new_attributes()
        attributes: dict[str, Any] = read_json(file).get("attributes", {})
        where = str(self.path)
        if attributes.get("schema") != SCHEMA or attributes.get("version") not in VERSIONS:
            found = f"{attributes.get('schema')!r} version {attributes.get('version')!r}"
            raise StoreError(
                f"{where} has the schema {found}: this writer continues {SCHEMA!r} version {self._version}."
            )
        Origin.from_attributes(attributes["origin"]).check_same(self._origin, where)
        if attributes["with_actions"] != self.with_actions:
            raise StoreError(
                f"{where} was written with_actions={attributes['with_actions']}, the writer has {self.with_actions}: "
                "use another folder."
            )
        stored = {name: (dtype, tuple(shape)) for name, (dtype, shape) in attributes["extra"].items()}
        if stored != self._extra:
            raise StoreError(
                f"{where} has the extra columns {stored}, but the writer has {self._extra}: expected the same."
            )
        for name in ("source", "references"):  # these may change as the store grows
            if getattr(self._origin, name):
                attributes["origin"][name] = getattr(self._origin, name)
        attributes["writers"].append({**self._started, "first_episode": attributes["commit"]["episodes"]})
        self._keys = set()
        if attributes["frame_shape"]:
            self._continue(attributes["commit"])
            keys = Column(self.path / "episodes/key", attributes["commit"]["episodes"]).read()
            self._keys.update(keys[keys >= 0].tolist())
        return attributes

    def _new_attributes(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "version": self._version,
            "level": self.level,
            "split": self.split,
            "origin": self._origin.attributes(),
            "with_actions": self.with_actions,
            "extra": {name: [dtype, list(shape)] for name, (dtype, shape) in self._extra.items()},
            "frame_shape": [],
            "writers": [{**self._started, "first_episode": 0}],
            "instructions": [""],
            "commit": {"rows": 0, "episodes": 0, "steps": 0, "digest": hashlib.sha256(SCHEMA.encode()).hexdigest()},
        }

    def _arrays(self) -> list[str]:
        return [
            "frames",
            *step_columns(self.with_actions, self._origin.actions),
            *(f"extra/{name}" for name in self._extra),
            *(f"episodes/{name}" for name in EPISODE_COLUMNS),
        ]

    def _create(self, shape: tuple[int, ...]) -> None:
        """Create the arrays of a new store."""
        types = step_columns(self.with_actions, self._origin.actions, self.reward)
        metadata = {"frames": frames_metadata(shape, *self._layout)}
        metadata |= {name: column_metadata(*column, COLUMN_CHUNK) for name, column in types.items()}
        metadata |= {f"extra/{name}": extra_metadata(*column) for name, column in self._extra.items()}
        metadata |= {
            f"episodes/{name}": column_metadata(dtype, (), EPISODE_CHUNK) for name, dtype in EPISODE_COLUMNS.items()
        }
        create_arrays(self.path, metadata)
        for group in ["episodes", *(["extra"] if self._extra else [])]:
            write_json(self.path / group / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {}})

    def _continue(self, commit: dict[str, Any]) -> None:
        """Check the arrays of an existing store, and remove the unfinished work of a writer that died."""
        sweep(self.path)
        for name in self._arrays():
            metadata = read_json(self.path / name / "zarr.json")
            length = commit["episodes" if name.startswith("episodes/") else "rows"]
            if metadata["shape"][0] < length:
                raise StoreError(
                    f"{self.path / name} has {metadata['shape'][0]} rows, but its commit record says {length}: run "
                    "flexlam data validate."
                )
            discard_rows(self.path / name, length, rows_a_file(metadata))
            if name == "reward":
                self.reward = metadata["data_type"]

    def _prepare(self, episode: Episode) -> tuple[Episode, dict[str, np.ndarray]]:
        """Check an episode and convert it to the columns of the store."""
        episode = episode.checked(self.reward, self._origin.actions if self.with_actions else None)
        shape = list(episode.frames.shape[1:])
        if self._attributes["frame_shape"] not in ([], shape):
            raise ValueError(
                f"Frames of shape {tuple(shape)} do not fit {self.path}: it has "
                f"{tuple(self._attributes['frame_shape'])}."
            )
        if set(episode.extra) != set(self._extra):
            raise ValueError(
                f"An episode has the extra columns {sorted(episode.extra)}: {self.path} has {sorted(self._extra)}."
            )
        return stored_columns(episode, self._origin, self._extra, self.reward, self.with_actions)

    def _write(self, batch: list[tuple[Episode, dict[str, np.ndarray]]]) -> None:
        attributes: dict[str, Any] = json.loads(
            json.dumps(self._attributes)
        )  # a copy, kept only if the commit succeeds
        if not attributes["frame_shape"]:
            attributes["frame_shape"] = list(batch[0][0].frames.shape[1:])
        commit = attributes["commit"]
        table = {text: number for number, text in enumerate(attributes["instructions"])}
        start, number = commit["rows"], commit["episodes"]
        parts: dict[str, list[np.ndarray]] = {"frames": []}
        for offset, (episode, columns) in enumerate(batch):
            if episode.frames.shape[1:] != tuple(attributes["frame_shape"]):
                raise ValueError(
                    f"Frames of shape {episode.frames.shape[1:]} do not fit {self.path}: it has "
                    f"{tuple(attributes['frame_shape'])}."
                )
            texts = [episode.instruction] if isinstance(episode.instruction, str) else episode.instruction
            columns["instruction"][:] = [table.setdefault(text, len(table)) for text in texts]
            columns["episode"][:] = number + offset
            digested = [columns[name] for name in action_columns(self.with_actions, self._origin.actions)]
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
            commit["digest"] = hashlib.sha256(
                f"{commit['digest']} {json.dumps(entry, sort_keys=True)}".encode()
            ).hexdigest()
        attributes["instructions"] = list(table)
        if not self._attributes["frame_shape"]:
            self._create(tuple(attributes["frame_shape"]))
        self._append(start, number, parts)
        write_json(self.path / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})
        self._attributes = attributes

    def _append(self, start: int, number: int, parts: dict[str, list[np.ndarray]]) -> None:
        data = {name: pieces[0] if len(pieces) == 1 else np.concatenate(pieces) for name, pieces in parts.items()}
        append_rows(self.path, {name: number if name.startswith("episodes/") else start for name in data}, data)
