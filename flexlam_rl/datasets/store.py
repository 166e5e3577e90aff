"""Readers of rollouts: one store, or several read as one."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.columns import Column
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.names import level_folder
from flexlam_rl.datasets.schema import (
    EPISODE_COLUMNS,
    SCHEMA,
    STEP_COLUMNS,
    UNKNOWN_NATIVE,
    VERSIONS,
    Origin,
    action_columns,
    step_columns,
)
from flexlam_rl.datasets.segments import Segments
from flexlam_rl.datasets.shards import FrameReader
from flexlam_rl.envs.action_values import are_actions
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import read_json, settled
from flexlam_rl.utils.numbers import int64


class RolloutStore:
    """The store of one level and split, in the state committed when it was opened.

    Columns are attributes: `action`, `action_native`, `reward`, `terminated`, `truncated`, `restart`, `instruction`,
    `episode`; `datasets.schema` describes them. They are indexed like NumPy arrays: `store.frames[10:20]`,
    `store.action[rows]`, `store.reward[:]`.

    Args:
        path: Folder of the store.

    Attributes:
        path: Folder of the store.
        level, split: Names of the level and split.
        frames: (N, H, W, C) uint8, read on demand.
        actions: Description of the actions; None for DeepMind Lab's.

    Raises:
        StoreError: There is no store, or one of another schema version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = settled(path)
        file = self.path / "zarr.json"
        if not file.exists():
            raise StoreError(f"{self.path} is no rollout store: it has no zarr.json (nothing was committed there).")
        self._attributes: dict[str, Any] = read_json(file).get("attributes", {})
        if self._attributes.get("schema") != SCHEMA or self._attributes.get("version") not in VERSIONS:
            found = f"{self._attributes.get('schema')!r} version {self._attributes.get('version')!r}"
            raise StoreError(
                f"{self.path} has the schema {found}: expected {SCHEMA!r} version {VERSIONS[0]} or {VERSIONS[1]}."
            )
        self.level: str = self._attributes["level"]
        self.split: str = self._attributes["split"]
        self.frames = FrameReader(self.path / "frames", self.rows)
        self._columns: dict[str, Column] = {}
        self.actions = self.origin.actions

    @classmethod
    def open(cls, path: str | Path) -> "RolloutStore":
        """Open a store.

        Raises:
            StoreError: There is no store, or one of another schema version.
        """
        return cls(path)

    @property
    def attributes(self) -> dict[str, Any]:
        """A copy of all attributes of the Zarr group."""
        return copy.deepcopy(self._attributes)

    @property
    def origin(self) -> Origin:
        """A copy of the description of where the data comes from."""
        return Origin.from_attributes(copy.deepcopy(self._attributes["origin"]))

    @property
    def spec(self) -> EnvSpec:
        """How the environment was shown and controlled; the frame size is 0x0 before the first episode."""
        height, width = self._attributes["frame_shape"][:2] or (0, 0)
        return replace(self.origin.spec, width=width, height=height)

    @property
    def fps(self) -> float:
        """Frames per second in the world's time; for imported video, the rate of the imported frames."""
        origin = self.origin
        return float(origin.source.get("fps") or 60 / origin.frame_skip)

    @property
    def rows(self) -> int:
        """Number of committed rows (frames)."""
        return int(self._attributes["commit"]["rows"])

    @property
    def episodes(self) -> int:
        """Number of committed episodes."""
        return int(self._attributes["commit"]["episodes"])

    @property
    def steps(self) -> int:
        """Number of committed actions; in video without actions, of steps between frames."""
        return int(self._attributes["commit"]["steps"])

    @property
    def digest(self) -> str:
        """Hash chained over all episodes and their contents; equal data has equal digests."""
        return str(self._attributes["commit"]["digest"])

    @property
    def with_actions(self) -> bool:
        """Whether the store has actions and rewards; False for video."""
        return bool(self._attributes["with_actions"])

    @property
    def instructions(self) -> list[str]:
        """Texts that the column `instruction` refers to by number."""
        return list(self._attributes["instructions"])

    def column(self, name: str) -> Column:
        """Find a column by name, including names such as "extra/position" and "episodes/start".

        Raises:
            StoreError: The store has no column of that name.
        """
        if name not in self._columns:
            if name not in self.column_names:
                raise StoreError(f"{self.path} has no column {name!r}: it has {', '.join(self.column_names)}.")
            self._columns[name] = Column(self.path / name, self.episodes if name.startswith("episodes/") else self.rows)
        return self._columns[name]

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns except the frames."""
        return (
            *step_columns(self.with_actions, self.actions),
            *(f"extra/{name}" for name in self._attributes["extra"]),
            *(f"episodes/{name}" for name in EPISODE_COLUMNS),
        )

    def __getattr__(self, name: str) -> Column:
        if name in STEP_COLUMNS:
            try:
                return self.column(name)
            except StoreError as error:
                raise AttributeError(str(error)) from None
        raise AttributeError(f"RolloutStore has no attribute {name!r}.")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return (
            f"RolloutStore({str(self.path)!r}: {self.rows:,} rows, {self.steps:,} steps, {self.episodes:,} "
            f"episodes, {self.origin.engine})"
        )

    @property
    def episode_table(self) -> dict[str, np.ndarray]:
        """The table of episodes: start, rows, length, return, seed, key, crc; each (E,), read-only."""
        return {name: self.column(f"episodes/{name}").whole() for name in EPISODE_COLUMNS}

    @cached_property
    def acted(self) -> np.ndarray:
        """Whether each row has a known action, (N,) bool, read-only."""
        known = np.zeros(self.rows, bool)
        if self.with_actions and self.rows:
            known = are_actions(self.action.whole())
            if self.actions is None and not known.all():  # with native actions only, the column `action` is -1
                table = self.episode_table
                step = np.arange(self.rows) - np.repeat(table["start"], table["rows"])
                followed = step < np.repeat(table["length"], table["rows"])
                known |= followed & (self.action_native.whole()[:, 0] != UNKNOWN_NATIVE)
        known.flags.writeable = False
        return known

    @cached_property
    def segments(self) -> Segments:
        """Runs of rows that contain neither the end of an episode nor a map restart."""
        column = self.column("restart")
        found = [
            np.flatnonzero(column.read(low, low + column.chunk)) + low for low in range(0, self.rows, column.chunk)
        ]
        restarts = np.concatenate(found) if found else np.empty(0, np.int64)
        return Segments.find(self.episode_table["start"], self.episode_table["rows"], restarts)

    def episode_at(self, number: int) -> Episode:
        """Read one episode completely; negative numbers count from the end.

        Raises:
            IndexError: There is no such episode.
        """
        number = int64(number, "The number of an episode")
        if not -self.episodes <= number < self.episodes:
            raise IndexError(f"Episode {number} of {self.path}: it has {self.episodes} episodes.")
        table = {name: column[number].item() for name, column in self.episode_table.items()}
        low, high, end = table["start"], table["start"] + table["rows"], table["start"] + table["length"]
        texts = self.instructions
        said = [texts[i] for i in self.instruction.read(low, high)]
        columns: dict[str, Any] = {}
        if self.with_actions:
            names = action_columns(True, self.actions)
            columns = {name: self.column(name).read(low, end) for name in names}
            native = columns.get("action_native")
            if not are_actions(columns["action"]).any():
                columns["action"] = None
                if native is None or (native == UNKNOWN_NATIVE).all():
                    columns = {}
        return Episode(
            frames=self.frames.read(low, high),
            restart=self.restart.read(low, high),
            terminated=bool(self.terminated.read(low, high).any()),
            truncated=bool(self.truncated.read(low, high).any()),
            instruction=said[0] if len(set(said)) == 1 else said,
            seed=table["seed"],
            key=table["key"],
            extra={name: self.column(f"extra/{name}").read(low, high) for name in self._attributes["extra"]},
            **columns,
        )

    def iter_episodes(self) -> Iterator[Episode]:
        """Yield all episodes in order."""
        return (self.episode_at(number) for number in range(self.episodes))


class Rollouts(Sequence[RolloutStore]):
    """Several stores that are read as one; a row is addressed as (number of the store, row).

    Args:
        stores: The stores, in order.
        weights: How often the items of each store occur in one pass over all (see `datasets.mixture`); None for once
            each. With weights, only the shapes of frames must agree.

    Raises:
        StoreError: There are no stores, or they differ in frame shape, engine, frame skip or, if they have actions, in
            their actions.
    """

    def __init__(self, stores: Sequence[RolloutStore], weights: Sequence[float] | None = None) -> None:
        if not stores:
            raise StoreError("No rollouts: expected at least one store.")
        self.stores = tuple(stores)
        self.weights = None if weights is None else tuple(map(float, weights))
        first = self.stores[0]
        acting = next((store for store in self.stores if store.with_actions), first)  # video goes with any actions
        for store in self.stores[1:]:
            like = acting if store.with_actions else store
            for what, one, mine, theirs in (
                ("frames of shape", first, first.frames.row, store.frames.row),
                ("the engine", first, first.origin.engine, store.origin.engine),
                ("the action set hash", like, like.origin.action_hash, store.origin.action_hash),
                ("actions", like, like.origin.actions, store.origin.actions),
                ("a frame skip of", first, first.origin.frame_skip, store.origin.frame_skip),
            ):
                if mine != theirs and (self.weights is None or what == "frames of shape"):
                    raise StoreError(
                        f"{one.path} has {what} {mine!r}, {store.path} has {theirs!r}: such rollouts cannot be read "
                        "together."
                    )

    def __len__(self) -> int:
        return len(self.stores)

    def __getitem__(self, number: Any) -> Any:
        return self.stores[number]

    @property
    def levels(self) -> tuple[str, ...]:
        """Level of each store."""
        return tuple(store.level for store in self.stores)

    @property
    def steps(self) -> int:
        """Number of actions in all stores."""
        return sum(store.steps for store in self.stores)

    @property
    def digests(self) -> tuple[str, ...]:
        """Content hash of each store."""
        return tuple(store.digest for store in self.stores)


def find_stores(root: str | Path, levels: Sequence[str] | None = None, split: str | None = None) -> list[Path]:
    """Find the folders of stores.

    Args:
        root: Folder of a collection, of several collections (for example, one per look), or of one store.
        levels: Name or names of levels, with or without `contributed/dmlab30/`; None for all.
        split: Name of the split; None for all.

    Raises:
        StoreError: There are no stores, or a level is missing.
    """
    root = settled(root)
    if (root / "zarr.json").exists() and ".zarr" in (root.suffix, root.resolve().suffix):
        return [root]
    if levels is not None:
        levels = [level_folder(level) for level in ([levels] if isinstance(levels, str) else levels)]
    every = (path.parent for pattern in ("*/*.zarr/zarr.json", "*/*/*.zarr/zarr.json") for path in root.glob(pattern))
    found = sorted(path for path in every if split is None or path.stem == split)
    if levels is not None:
        missing = set(levels) - {path.parent.name for path in found}
        if missing:
            raise StoreError(
                f"{root} holds no rollouts of {', '.join(sorted(missing))} (split {split}): it has "
                f"{sorted({p.parent.name for p in found})}."
            )
        found = [path for path in found if path.parent.name in levels]
    if not found:
        raise StoreError(
            f"{root} holds no rollouts{f' of split {split!r}' if split else ''}: expected <level>/<split>.zarr in "
            "it, or folders that contain them."
        )
    return found


def open_rollouts(root: str | Path, levels: Sequence[str] | None = None, split: str = "train") -> Rollouts:
    """Open one split of some or all levels.

    Args:
        root, levels: As for `find_stores`.
        split: Name of the split.

    Raises:
        StoreError: There are no stores, a level is missing, or the stores cannot be read together.
    """
    return Rollouts([RolloutStore(path) for path in find_stores(root, levels, split)])
