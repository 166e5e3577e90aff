"""What a world model remembers of n rows, each with its own past, and the frames that it predicts from it.

Shapes: n rows, T frames of a context, w items of a prediction, C H W frame.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.models.interfaces import SteppedWorldModel
from flexlam_rl.models.stepping import known_past
from flexlam_rl.utils.numbers import whole


class Memory:
    """Items of the newest frames of each row, and what led to them.

    Args:
        model: The world model.
        rows: Number of rows, n.
        chunk: Number of rows that are computed together; fewer rows are padded. With the same chunk (16 or more on a
            CPU), a row's frames do not depend on the number of other rows, to the last bit. None computes all rows at
            once, which is faster; frames are then equal up to rounding.
    """

    def __init__(self, model: SteppedWorldModel, rows: int, chunk: int | None = None) -> None:
        self.model, self.rows = model, rows
        self.chunk = None if chunk is None else whole(chunk, "chunk", 1)
        self.count = np.zeros(rows, np.int64)
        """Number of items of each row."""
        self._items: Tensor | None = None  # (n, most, ...), the newest last
        self._told: Tensor | None = None  # (n, most, ...), what led to each of them

    def begin(self, which: np.ndarray, frames: Tensor, past: Tensor | None, like: Tensor | None) -> None:
        """Begin anew in some rows.

        Args:
            which: Indices of the rows, (m,).
            frames: The frames so far, (m, T, C, H, W).
            past: What led from each frame to the next, (m, T - 1, ...); None where it is not known.
            like: Example of what the model is told, (m, 1, ...); None where it is told nothing.

        Raises:
            ValueError: There are fewer frames than the model looks back at.
        """
        least, most = self.model.look_back
        if frames.shape[1] < least:
            raise ValueError(f"Rows begin with {frames.shape[1]} frames; this model looks back at {least} or more.")
        kept = frames[:, -most:]
        size = self.chunk or len(which)
        parts = [self._filled(kept[i : i + size]) for i in range(0, len(which), size)]
        items = torch.cat([self.model.remember(part)[: len(kept) - i * size] for i, part in enumerate(parts)])
        count, index = items.shape[1], torch.from_numpy(which)
        if self._items is None:
            self._items = items.new_zeros(self.rows, most, *items.shape[2:])
        self._items[index, most - count :] = items
        self.count[which] = count
        if like is not None:
            told = known_past(self.model.conditions, like, past, count)
            if self._told is None:
                self._told = told.new_zeros(self.rows, most, *told.shape[2:])
            self._told[index, most - count :] = told

    def step(self, which: np.ndarray, told: Tensor | None, streams: Sequence[torch.Generator] | None) -> Tensor:
        """Predict the next frames of some rows, and remember them.

        Args:
            which: Indices of the rows, (m,).
            told: What the model is told about the step, (m, ...); None where it is told nothing.
            streams: One generator per row; None for the likeliest frames.

        Returns:
            The frames, uint8 (m, C, H, W).

        Raises:
            ValueError: No row has begun yet.
        """
        if self._items is None:
            raise ValueError("step is called before any row has begun; expected begin first.")
        frames = torch.empty(len(which), *self.model.frame_shape, dtype=torch.uint8)
        items = torch.empty(len(which), *self._items.shape[2:], dtype=self._items.dtype, device=self._items.device)
        counts = self.count[which]
        for count in np.unique(counts).tolist():
            group = np.flatnonzero(counts == count)
            size = self.chunk or len(group)
            for first in range(0, len(group), size):
                part = group[first : first + size]
                own = None if streams is None else [streams[i] for i in part.tolist()]
                item, frame = self._predicted(which[part], count, None if told is None else told[part], own)
                items[part], frames[part] = item, frame.cpu()
        self.append(which, items, told)
        return frames

    def append(self, which: np.ndarray, items: Tensor, told: Tensor | None) -> None:
        """Remember the items (m, ...) of the next frames of some rows, and what led to them, (m, ...)."""
        assert self._items is not None
        index, most = torch.from_numpy(which), self._items.shape[1]
        self._items[index] = torch.cat([self._items[index, 1:], items[:, None]], dim=1)
        if self._told is not None and told is not None:
            self._told[index] = torch.cat([self._told[index, 1:], told[:, None].to(self._told)], dim=1)
        self.count[which] = np.minimum(self.count[which] + 1, most)

    def repeated(self, which: np.ndarray, times: int) -> "Memory":
        """Copy some rows, each `times` times; the copies of a row follow one another."""
        other = Memory(self.model, len(which) * times, self.chunk)
        index = torch.from_numpy(np.repeat(which, times))
        other._items = None if self._items is None else self._items[index]
        other._told = None if self._told is None else self._told[index]
        other.count = self.count[index.numpy()]
        return other

    def __deepcopy__(self, memo: dict[int, object]) -> "Memory":
        """Copy the memory; the copy continues as this one would, with the same model."""
        other = copy.copy(self)
        other.count = self.count.copy()
        other._items = None if self._items is None else self._items.clone()
        other._told = None if self._told is None else self._told.clone()
        return other

    def _predicted(
        self, rows: np.ndarray, count: int, told: Tensor | None, streams: list[torch.Generator] | None
    ) -> tuple[Tensor, Tensor]:
        """Predict the items and frames of up to `chunk` rows that have `count` items each."""
        assert self._items is not None
        index = torch.from_numpy(rows)
        items, led = self._filled(self._items[index, -count:]), None
        if told is not None:
            assert self._told is not None
            led = torch.cat([self._told[index, -count:], told[:, None].to(self._told)], dim=1)
            led = self._filled(led)
        if streams is not None:
            streams = streams + [streams[0].clone_state() for _ in range(len(items) - len(rows))]
        item, frame = self.model.next_frame(items, led, streams)
        return item[: len(rows)], frame[: len(rows)]

    def _filled(self, part: Tensor) -> Tensor:
        """Pad rows to a whole chunk with copies of the first one."""
        missing = 0 if self.chunk is None else self.chunk - len(part)
        return part if missing <= 0 else torch.cat([part, part[:1].expand(missing, *part.shape[1:])])
