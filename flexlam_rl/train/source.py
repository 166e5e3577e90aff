"""Sources of batches with a cursor, and the move of batches to the device."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Source(Protocol):
    """An endless, resumable stream of batches: NumPy arrays (frames as (B, ..., H, W, C) uint8), or tensors that are
    already on the device (frames as (B, ..., C, H, W) uint8).
    """

    def next(self) -> dict[str, Any]:
        """Give the next batch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Give the cursor, as JSON."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a cursor."""
        ...


class ArraySource:
    """Batches from arrays in memory, in an order that depends only on seed and position."""

    def __init__(
        self, arrays: dict[str, np.ndarray[Any, Any]], batch: int, seed: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        lengths = {name: len(a) for name, a in arrays.items()}
        if len(set(lengths.values())) != 1 or not min(lengths.values()):
            raise ValueError(f"arrays have lengths {lengths}; expected the same, at least 1.")
        self.arrays, self.batch, self.seed, self.rank, self.ranks = arrays, batch, seed, rank, ranks
        self.position = 0

    def next(self) -> dict[str, np.ndarray[Any, Any]]:
        """Draw rows uniformly, with replacement, because small label sets have fewer rows than a batch."""
        rng = np.random.default_rng([self.seed, self.rank, self.ranks, self.position])
        self.position += 1
        rows = rng.integers(0, len(next(iter(self.arrays.values()))), self.batch)
        return {name: a[rows] for name, a in self.arrays.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = int(state["position"])


def to_device(batch: dict[str, Any], device: str) -> dict[str, Tensor]:
    """Convert a batch to tensors on the device; frames (uint8 with 4 dimensions or more) are moved to channels first.
    Tensors are not changed.
    """
    out = {}
    for name, array in batch.items():
        if isinstance(array, Tensor):
            out[name] = array.to(device, non_blocking=True)
            continue
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if device.startswith("cuda"):
            tensor = tensor.pin_memory()
        tensor = tensor.to(device, non_blocking=True)
        if tensor.dtype == torch.uint8 and tensor.ndim >= 4:
            tensor = tensor.movedim(-1, -3).contiguous()
        out[name] = tensor
    return out
