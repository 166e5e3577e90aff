"""Which rows may stand together: segments, and the items of a given span in them.

A segment is a longest run of rows of one episode without a map restart in it; a pair or a window is valid when it lies
within one segment. A store of ten million rows has some ten thousand segments, so the index of a whole collection is
small: item -> row is a binary search.
"""

from dataclasses import dataclass

import numpy as np

from flexlam_rl.utils.numbers import exact, int64


@dataclass(frozen=True)
class Segments:
    """Runs of rows, in order; the arrays are read-only.

    Attributes:
        start: (S,) int64 first rows.
        rows: (S,) int64 lengths.
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
        """Segments of episodes that begin at `starts` with `rows` rows each, cut before each of `restart_rows`
        (sorted).
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
        """Number of items of `span` rows."""
        return int(np.maximum(self.rows - span + 1, 0).sum())

    def contains(self, row: np.ndarray, span: int) -> np.ndarray:
        """Whether `span` rows from each row lie within one segment."""
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
        segments: Of one store.
        span: Rows an item (2 for a transition).
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
        """First rows of items, int64."""
        segment = np.searchsorted(self._first, item, side="right") - 1
        return self._start[segment] + (item - self._first[segment])

    def numbers(self, row: np.ndarray) -> np.ndarray:
        """Inverse of `rows`; the rows must begin items."""
        segment = np.searchsorted(self._start, row, side="right") - 1
        return self._first[segment] + (np.asarray(row, np.int64) - self._start[segment])


class ListedItems:
    """Items that are listed rows, numbered 0..n-1."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, item: np.ndarray) -> np.ndarray:
        """First rows of items, int64."""
        return self._rows[item]
