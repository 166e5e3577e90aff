"""Samplers of training data: transitions and windows, uniform over all valid ones.

An item never crosses the end of an episode or a map restart, because items lie within `Segments`.

Legend: `B` items, `L` rows per item, `H W C` a frame.
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

    With `len()`, `[number]` and `__getitems__` it is a map-style dataset for `torch.utils.data.DataLoader`; `batches`
    is faster.

    Args:
        data: A store, a list of stores, or the result of `open_rollouts`.
        span: Rows per item, `L`.
        fields: Additional columns of a batch: names of step columns, "previous_action", and "expert_chose" (whether the
            expert chose the action; True if a store does not tell). An unknown action, or the previous action at an
            episode's first row, is -1, or NaN in continuous dimensions.
        labels: Use only the transitions of this label set, whose stores are in the order of `data`.
        cache: None reads the compressed store. True or a folder reads the raw local cache, which is built first if it
            is missing.
        within: For each store, use only items within rows `first` to `last` (not included); None for all.

    Raises:
        ValueError: A field is unknown, the label set does not belong to the data, or there are no items.
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
        # stores may have different types of rewards; a batch has the wider one
        columns = {name: "action" if name == "previous_action" else name for name in self.fields}
        acting = [store for store in stores if store.with_actions] or stores  # video has no actions to agree on
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
        """Hash of everything that determines the items: contents of the stores, span, labels, weights and limits."""
        parts = [*self.rollouts.digests, str(self.span), "" if self.labels is None else self.labels.digest]
        parts += [] if self.rollouts.weights is None else [f"weight {weight}" for weight in self.rollouts.weights]
        parts += [] if self.within is None else [str(self.within)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def locate(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the store of each item and the first row there.

        Args:
            items: (B,) numbers of items.

        Returns:
            Numbers of stores, and rows, both (B,) int64.

        Raises:
            IndexError: An item is not in 0..n-1.
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
        """Read a batch.

        Args:
            items: (B,) numbers of items.
            out: Memory for the frames, (B, L, H, W, C) uint8; None for a new array.

        Returns:
            "frames" (B, L, H, W, C) uint8, "level" (B,) number of the store, "row" (B,) first row there, and the
            fields. A field is (B, ...) for transitions, from the first row, so that "action" leads from frame 0 to
            frame 1; (B, L, ...) for windows. "previous_action" is always (B, ...).
        """
        number, rows = self.locate(items)
        frames = np.empty((len(rows), self.span, *self.frame_shape), np.uint8) if out is None else out
        for i in np.unique(number).tolist():
            chosen = np.flatnonzero(number == i)
            self._frames[i].read_spans(rows[chosen], self.span, frames, chosen)
        return {"frames": frames, "level": number, "row": rows, **self.columns(number, rows)}

    def columns(self, number: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Read the fields of a batch without its frames, given the results of `locate`."""
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
        """Read all actions of a store; video gets rows without an action."""
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
        """Read one item, without the axis `B`; negative numbers count from the end."""
        item = int64(item, "The number of an item")
        batch = self.read(np.array([item + len(self) if item < 0 else item]))
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, items: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Read several items at once, which torch's DataLoader uses for a batch; each chunk is then decoded once."""
        batch = self.read(exact(items, np.int64, "Numbers of items"))
        return [{name: values[i] for name, values in batch.items()} for i in range(len(items))]

    def batches(self, batch_size: int, **options: Any) -> Batches:
        """Make a stream of shuffled batches; `Batches` describes the options."""
        return Batches(self, batch_size, **options)


class TransitionPairs(Spans):
    """Transitions: pairs of consecutive frames (o_t, o_{t+1}); "frames" is (B, 2, H, W, C).

    Args:
        data, fields, labels, cache: As for `Spans`.
    """

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
    """Windows of `length` consecutive frames; "frames" is (B, length, H, W, C).

    Args:
        data, fields, cache, within: As for `Spans`.
        length: Frames per window.
    """

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
