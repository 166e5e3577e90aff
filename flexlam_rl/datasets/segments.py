"""Segments, which say which rows may form an item, and the items of a given span in them.

A segment is a maximal run of rows of one episode without a map restart inside. A pair or window is valid if it lies
within one segment. A store of ten million rows has about ten thousand segments, so the index of a whole collection is
small, and a binary search finds the row of an item.
"""

from dataclasses import dataclass

import numpy as np

from flexlam_rl.utils.numbers import exact, int64


@dataclass(frozen=True)
class Segments:
    """Runs of rows, in order; the arrays are read-only.

    Attributes:
        start: (S,) int64, first row of each segment.
        rows: (S,) int64, number of rows of each segment.
    """

    start: np.ndarray
    rows: np.ndarray

    def __post_init__(self) -> None:
        for name in ("start", "rows"):
            column = np.array(getattr(self, name), np.int64)
            column.flags.writeable = False
            object.__setattr__(self, name, column)

    @classmethod
    def find(cls, starts: np.ndarray, rows: np.ndarray, restart_rows: np.ndarray) -> "Segments":
        """Find the segments of a store.

        Args:
            starts: First row of each episode, sorted.
            rows: Number of rows of each episode.
            restart_rows: Rows before which the map restarted, sorted.
        """
        starts = np.asarray(starts, np.int64)
        ends = starts + np.asarray(rows, np.int64)
        begin = np.union1d(starts, np.asarray(restart_rows, np.int64))
        # a segment ends where the next one begins or its episode ends, whichever comes first
        following = np.append(begin[1:], np.iinfo(np.int64).max)
        episode = np.searchsorted(starts, begin, side="right") - 1
        end = np.minimum(following, ends[episode]) if len(begin) else begin
        return cls(begin, end - begin)

    def count(self, span: int) -> int:
        """Count the items of `span` rows."""
        return int(np.maximum(self.rows - span + 1, 0).sum())

    def contains(self, row: np.ndarray, span: int) -> np.ndarray:
        """Whether the `span` rows that begin at each `row` lie within one segment."""
        row = exact(row, np.int64, "Rows")
        number = np.searchsorted(self.start, row, side="right") - 1
        inside = number >= 0
        number = np.maximum(number, 0)
        if not len(self.start):
            return np.zeros(row.shape, bool)
        return inside & (row + span <= self.start[number] + self.rows[number])


class Items:
    """All items of one span, numbered 0..n-1 in the order of their rows.

    Args:
        segments: Segments of one store.
        span: Rows per item (2 for a transition).
    """

    def __init__(self, segments: Segments, span: int) -> None:
        span = int64(span, "The span of an item (rows)", low=1)
        count = np.maximum(segments.rows - span + 1, 0)
        kept = count > 0
        self._start = segments.start[kept]
        self._first = np.cumsum(count[kept]) - count[kept]
        self._count = int(count.sum())

    def __len__(self) -> int:
        return self._count

    def rows(self, item: np.ndarray) -> np.ndarray:
        """Find the first rows of items, int64."""
        segment = np.searchsorted(self._first, item, side="right") - 1
        return self._start[segment] + (item - self._first[segment])

    def numbers(self, row: np.ndarray) -> np.ndarray:
        """Find the numbers of items from their first rows; the inverse of `rows`."""
        segment = np.searchsorted(self._start, row, side="right") - 1
        return self._first[segment] + (np.asarray(row, np.int64) - self._start[segment])


class ListedItems:
    """Items that begin at the given rows, numbered 0..n-1."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, item: np.ndarray) -> np.ndarray:
        """Find the first rows of items, int64."""
        return self._rows[item]
