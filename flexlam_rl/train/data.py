"""Sources of batches for the stages, from rollouts on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts, TransitionPairs, Windows
from flexlam_rl.datasets.loader import Batches
from flexlam_rl.datasets.marks import EXPERT_CHOSE, is_marked
from flexlam_rl.datasets.samplers import Spans
from flexlam_rl.train.resident import ResidentSpans, fits
from flexlam_rl.train.source import to_device


class FrameSource:
    """Batches of a sampler.

    On a CPU, batches are NumPy arrays. On a GPU, they are tensors there: gathered on the GPU if all frames fit into its
    memory, otherwise read into pinned memory by threads and copied. The order and the cursor are the same in all cases.

    Args:
        spans: The sampler.
        batch: Items per batch and process.
        seed: Seed of their order.
        rank, ranks: Rank of this process, and number of processes that train together.
        device: Device of the training.
        share: Items whose frames are already on the device.
        resident: Whether frames stay on the device; None to decide by whether they fit.
        codes: Codes of each store's transitions, (rows, M), of which batches get (B, L - 1, M).
    """

    def __init__(
        self,
        spans: Spans,
        batch: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        *,
        device: str = "cpu",
        share: ResidentSpans | None = None,
        resident: bool | None = None,
        codes: Sequence[np.ndarray[Any, Any]] | None = None,
    ) -> None:
        self.device, self.codes, self.span = torch.device(device), codes, spans.span
        stays = share is not None or (fits(spans, device) if resident is None else resident)
        self.resident = ResidentSpans(spans, device, share) if stays else None
        if self.resident is not None and codes is not None and "codes" not in self.resident.columns:
            self.resident.columns["codes"] = torch.from_numpy(np.concatenate(codes)).to(device)
        self.pinned = self.resident is None and self.device.type == "cuda"
        # a thread draws the indices of the next batch while the device computes
        readers: dict[str, Any] = {"workers": 1, "prefetch": 2} if self.resident else {"pin_memory": self.pinned}
        items: Any = self.resident or spans
        self.batches = Batches(items, batch, seed=seed, rank=rank, world_size=ranks, **readers)

    def next(self) -> dict[str, Any]:
        """Give the next batch, with "frames" (B, L, H, W, C) as an array, or (B, L, C, H, W) on the device."""
        batch = next(self.batches)
        if self.codes is not None and self.resident is None:
            batch["codes"] = self._codes(np.asarray(batch["level"]), np.asarray(batch["row"]))
        if self.pinned:
            batch = {name: values.to(self.device, non_blocking=True) for name, values in batch.items()}
            batch["frames"] = batch["frames"].movedim(-1, -3).contiguous()
        return batch

    def _codes(self, stores: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> Tensor:
        """Codes (B, L - 1, M) of items that begin at these rows."""
        assert self.codes is not None
        return torch.from_numpy(gathered(self.codes, stores, rows, self.span - 1))


def gathered(
    values: Sequence[np.ndarray[Any, Any]], stores: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], length: int
) -> np.ndarray[Any, Any]:
    """Gather (B, length, ...) values: per item, of the rows of its store from its first row on."""
    first = zip(stores.tolist(), rows.tolist(), strict=True)
    return np.stack([values[i][row : row + length] for i, row in first])


class PairSource:
    """Batches of transitions, as "obs" and "next_obs"."""

    def __init__(
        self,
        rollouts: Rollouts,
        batch: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        cache: str | Path | None = None,
        **place: Any,
    ) -> None:
        """Take the arguments of `FrameSource`; `place` holds its keyword arguments device, share and resident."""
        self.source = FrameSource(TransitionPairs(rollouts, cache=cache), batch, seed, rank, ranks, **place)
        self.batches = self.source.batches

    def next(self) -> dict[str, Any]:
        frames = self.source.next()["frames"]
        return {"obs": frames[:, 0], "next_obs": frames[:, 1]}

    def state_dict(self) -> dict[str, Any]:
        return self.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches.load_state_dict(state)


class WindowSource:
    """Batches of windows of `length` frames, as "frames"."""

    def __init__(
        self, rollouts: Rollouts, length: int, batch: int, seed: int, rank: int = 0, ranks: int = 1, **place: Any
    ) -> None:
        """Take the arguments of `FrameSource`; `place` holds its keyword arguments device, share and resident."""
        self.source = FrameSource(Windows(rollouts, length), batch, seed, rank, ranks, **place)
        self.batches = self.source.batches

    def next(self) -> dict[str, Any]:
        return {"frames": self.source.next()["frames"]}

    def state_dict(self) -> dict[str, Any]:
        return self.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches.load_state_dict(state)


class CurriculumSource:
    """Batches of windows: short ones for the first steps, then whole contexts, with half the batch (paper, table 8) or
    a batch size of their own.

    If the rollouts mark steps that the expert did not choose, batches also have "expert_chose" (B, L).
    """

    def __init__(
        self,
        rollouts: Rollouts,
        batch: int,
        short: int,
        long: int,
        short_steps: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        *,
        device: str = "cpu",
        share: ResidentSpans | None = None,
        resident: bool | None = None,
        codes: Sequence[np.ndarray[Any, Any]] | None = None,
        long_batch: int | None = None,
    ) -> None:
        """Take the arguments of `FrameSource`; `long_batch` is the number of long windows, None for half the batch."""
        self.short_steps, self.step = short_steps, 0
        self.sources: list[FrameSource] = []
        for i, (length, size) in enumerate(((short, batch), (long, long_batch or max(1, batch // 2)))):
            spans = Windows(rollouts, length, _marks(rollouts))
            source = FrameSource(
                spans, size, seed + i, rank, ranks, device=device, share=share, resident=resident, codes=codes
            )
            share = source.resident
            self.sources.append(source)
        self.parts = [source.batches for source in self.sources]

    def next(self) -> dict[str, Any]:
        source = self.sources[self.step >= self.short_steps]
        self.step += 1
        batch = source.next()
        return {name: batch[name] for name in ("frames", "codes", EXPERT_CHOSE) if name in batch}

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def held_out_pairs(rollouts: Rollouts, count: int, seed: int = 0) -> dict[str, Tensor]:
    """Read `count` transitions, uniform over the rollouts, as uint8 tensors (B, C, H, W)."""
    frames = next(TransitionPairs(rollouts).batches(count, seed=seed, workers=0))["frames"]
    return to_device({"obs": frames[:, 0], "next_obs": frames[:, 1]}, "cpu")


def held_out_windows(rollouts: Rollouts, count: int, length: int, seed: int = 0) -> dict[str, Tensor]:
    """Read `count` windows of `length` frames: "frames" uint8 (B, T, C, H, W), and "expert_chose" (B, T) if marked."""
    batch = next(Windows(rollouts, length, _marks(rollouts)).batches(count, seed=seed, workers=0))
    return to_device({name: batch[name] for name in ("frames", *_marks(rollouts))}, "cpu")


def _marks(rollouts: Rollouts) -> tuple[str, ...]:
    return (EXPERT_CHOSE,) if is_marked(rollouts.stores) else ()
