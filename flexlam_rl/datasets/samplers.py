"""What training reads: transitions and windows, uniform over all valid ones.

Legend: `B` items, `L` rows an item, `H W C` a frame. No item ever spans the end of an episode or a map restart: items
    are counted inside `Segments`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.cache import RawFrames
from flexlam_rl.datasets.labels import LabelSet
from flexlam_rl.datasets.loader import Batches
from flexlam_rl.datasets.marks import EXPERT_CHOSE, expert_chose
from flexlam_rl.datasets.memory import MemoryStore
from flexlam_rl.datasets.mixture import WeightedItems
from flexlam_rl.datasets.schema import STEP_COLUMNS
from flexlam_rl.datasets.segments import Items, ListedItems
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.envs.action_values import NO_ACTION
from flexlam_rl.utils.numbers import exact, int64

Data = RolloutStore | MemoryStore | Rollouts | Sequence[RolloutStore] | Sequence[MemoryStore]
FIELDS = (*STEP_COLUMNS, "previous_action", EXPERT_CHOSE)


class Spans:
    """All spans of `L` consecutive rows of one or more stores, numbered 0..n-1.

    Args:
        data: A store, several, or what `open_rollouts` gives.
        span: Rows an item, `L`.
        fields: Further columns of a batch: names of step columns, "previous_action" (none before an episode's first
            action), and "expert_chose" (whether the expert chose the action; true where a store does not tell). An
            action that is not known is -1, or NaN in continuous dimensions.
        labels: Only the transitions of this label set, which is sorted like `data`.
        within: Only items that lie within these rows of each store, from the first to before the second; None for all.
        cache: None reads the compressed store; True, or a folder, the raw local cache, which is built first where it is
            missing.

    `len()`, `[number]` and `__getitems__` make it a map-style dataset for `torch.utils.data.DataLoader`; `batches` is
    the faster way.
    """

    def __init__(
        self,
        data: Data,
        span: int,
        fields: Sequence[str] = (),
        labels: LabelSet | None = None,
        cache: bool | str | Path | None = None,
        within: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        stores: Any = [data] if isinstance(data, RolloutStore | MemoryStore) else data
        self.rollouts = data if isinstance(data, Rollouts) else Rollouts(stores)
        self.span = span = int64(span, "The span of an item (rows)", low=1)
        self.fields = (fields,) if isinstance(fields, str) else tuple(fields)
        self.labels = labels
        unknown = [name for name in self.fields if name not in FIELDS]
        if unknown:
            raise ValueError(f"Unknown field {unknown[0]!r}: expected some of {', '.join(FIELDS)}.")
        stores = self.rollouts.stores
        self._frames = [
            RawFrames(store, None if cache is True else cache) if cache else store.frames for store in stores
        ]
        self._items: list[Any] = [Items(store.segments, span) for store in stores]
        if labels is not None:
            labels.check(self.rollouts, span)
            self._items = [ListedItems(rows) for rows in labels.rows]
        self.within = None if within is None else tuple(within)
        if self.within is not None:
            self._items = [
                _within(items, span, low, high) for items, (low, high) in zip(self._items, self.within, strict=True)
            ]
        if labels is None and self.rollouts.weights is not None:
            self._items = [WeightedItems(*one) for one in zip(self._items, self.rollouts.weights, strict=True)]
        # stores may keep rewards in two types: a batch has the wider one
        columns = {name: "action" if name == "previous_action" else name for name in self.fields}
        acting = [store for store in stores if store.with_actions] or stores  # video goes along without actions
        self._types = {
            name: np.result_type(*(s.column(column).dtype for s in (acting if column == "action" else stores)))
            for name, column in columns.items()
            if name != EXPERT_CHOSE
        }
        self._types[EXPERT_CHOSE] = np.dtype(bool)
        self._video: dict[int, np.ndarray] = {}
        self._offset = np.cumsum([0, *map(len, self._items)])
        self.frame_shape = stores[0].frames.row
        if not len(self):
            raise ValueError(
                f"No items of {span} rows in {', '.join(str(store.path) for store in stores)}: every run of frames is "
                "shorter."
            )

    def __len__(self) -> int:
        return int(self._offset[-1])

    @property
    def digest(self) -> str:
        """Hash of what the items are: contents of the stores, span and labels."""
        parts = [*self.rollouts.digests, str(self.span), "" if self.labels is None else self.labels.digest]
        parts += [] if self.rollouts.weights is None else [f"weight {weight}" for weight in self.rollouts.weights]
        parts += [] if self.within is None else [str(self.within)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def locate(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the store, and first row there, of each item; both (B,) int64.

        Raises:
            IndexError: An item outside 0..n-1.
        """
        items = exact(items, np.int64, "Numbers of items")
        if items.size and (items.min() < 0 or items.max() >= len(self)):
            raise IndexError(f"Item {items.max() if items.max() >= len(self) else items.min()} of {len(self)} items.")
        number = np.searchsorted(self._offset, items, side="right") - 1
        rows = np.empty_like(items)
        for i in np.unique(number).tolist():
            chosen = number == i
            rows[chosen] = self._items[i].rows(items[chosen] - self._offset[i])
        return number, rows

    def read(self, items: np.ndarray, out: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """A batch.

        Args:
            items: (B,) numbers of items.
            out: Memory for the frames, (B, L, H, W, C) uint8.

        Returns:
            "frames" (B, L, H, W, C) uint8, "level" (B,) number of the store, "row" (B,) first row there, and the
            fields: (B,) for transitions (those of the first row, so "action" leads from frame 0 to frame 1), (B, L,
            ...) for windows; "previous_action" is always (B,).
        """
        number, rows = self.locate(items)
        frames = np.empty((len(rows), self.span, *self.frame_shape), np.uint8) if out is None else out
        for i in np.unique(number).tolist():
            chosen = np.flatnonzero(number == i)
            self._frames[i].read_spans(rows[chosen], self.span, frames, chosen)
        return {"frames": frames, "level": number, "row": rows, **self.columns(number, rows)}

    def columns(self, number: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of a batch, without its frames, of items that `locate` found."""
        found: dict[str, np.ndarray] = {}
        for i in np.unique(number).tolist():
            chosen = np.flatnonzero(number == i)
            for name in self.fields:
                values = self._field(i, name, rows[chosen])
                if name not in found:
                    found[name] = np.empty((len(rows), *values.shape[1:]), self._types[name])
                found[name][chosen] = values
        return found

    def _field(self, number: int, name: str, rows: np.ndarray) -> np.ndarray:
        store = self.rollouts.stores[number]
        if name == "previous_action":
            first = np.isin(rows, store.episode_table["start"], assume_unique=False)
            before = self._actions(number)[np.maximum(rows - 1, 0)]
            before[first] = np.nan if before.dtype.kind == "f" else NO_ACTION
            return before
        column: Any = self._actions(number) if name == "action" else None
        if column is None:
            column = expert_chose(store) if name == EXPERT_CHOSE else store.column(name).whole()
        if column is None:
            column = np.broadcast_to(np.True_, len(store.frames))
        return column[rows[:, None] + np.arange(self.span)] if self._windowed else column[rows]

    def _actions(self, number: int) -> np.ndarray:
        """All actions of a store; video has none anywhere."""
        store = self.rollouts.stores[number]
        if store.with_actions:
            whole: np.ndarray = store.action.whole()
            return whole
        if number not in self._video:
            like = next(store.action for store in self.rollouts.stores if store.with_actions).whole()
            fill = np.nan if like.dtype.kind == "f" else NO_ACTION
            self._video[number] = np.full((store.rows, *like.shape[1:]), fill, like.dtype)
        return self._video[number]

    _windowed = True

    def __getitem__(self, item: int) -> dict[str, np.ndarray]:
        """One item, without the leading `B`."""
        item = int64(item, "The number of an item")
        batch = self.read(np.array([item + len(self) if item < 0 else item]))
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, items: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Several items at once: torch's DataLoader asks for a batch this way, and chunks are then decoded once a
        batch.
        """
        batch = self.read(exact(items, np.int64, "Numbers of items"))
        return [{name: values[i] for name, values in batch.items()} for i in range(len(items))]

    def batches(self, batch_size: int, **options: Any) -> Batches:
        """An endless (or finite) shuffled stream of batches: see `Batches` for the options."""
        return Batches(self, batch_size, **options)


class TransitionPairs(Spans):
    """Pairs of consecutive frames (o_t, o_{t+1}): `Spans` of two rows. "frames" is (B, 2, H, W, C)."""

    _windowed = False

    def __init__(
        self,
        data: Data,
        fields: Sequence[str] = (),
        labels: LabelSet | None = None,
        cache: bool | str | Path | None = None,
    ) -> None:
        super().__init__(data, 2, fields, labels, cache)


class Windows(Spans):
    """Windows of `length` consecutive frames: "frames" is (B, length, H, W, C)."""

    def __init__(
        self,
        data: Data,
        length: int = 34,
        fields: Sequence[str] = (),
        cache: bool | str | Path | None = None,
        within: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(data, length, fields, None, cache, within)


def _within(items: Any, span: int, low: int, high: int) -> ListedItems:
    rows = items.rows(np.arange(len(items)))
    return ListedItems(rows[(rows >= low) & (rows + span <= high)])
