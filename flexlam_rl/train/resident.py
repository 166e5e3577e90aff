"""Frames that stay on the training device: pairs and windows are gathered there, without copying batches to it.

Legend: `B` items, `L` rows per item, `N` rows of all stores, `C H W` a frame.
"""

from typing import Any

import numpy as np
import torch

from flexlam_rl.datasets.samplers import Spans

HEADROOM = 0.5
"""Share of the device's free memory that frames may take; model, optimizer and activations need the rest."""


class ResidentSpans:
    """Items of a sampler, read from a copy of all frames on a device.

    It replaces the sampler in `Batches`, with the same order and cursor, so a stopped run may continue with the other
    one.

    Args:
        spans: The sampler: `TransitionPairs`, `Windows`, ...
        device: Device for the frames.
        share: Items of the same rollouts that are already there, whose frames and columns are shared instead of copied.

    Attributes:
        frames: (N, C, H, W) uint8 on the device.
        columns: Further values (N, ...) on the device, by name, of transitions from each row to the next. Batches get
            them as (B, L - 1, ...).
    """

    frames: torch.Tensor
    columns: dict[str, torch.Tensor]

    def __init__(self, spans: Spans, device: str | torch.device, share: "ResidentSpans | None" = None) -> None:
        self.spans, self.device = spans, _numbered(device)
        self.span, self.frame_shape = spans.span, spans.frame_shape
        stores = spans.rollouts.stores
        self._base = np.cumsum([0, *(len(store.frames) for store in stores)])
        self._steps = torch.arange(self.span, device=self.device)
        if share is not None:
            if share.spans.rollouts.digests != spans.rollouts.digests:
                raise ValueError("Frames on the device are of other rollouts than the items that are to share them.")
            self.frames, self.columns = share.frames, share.columns
            return
        self.columns = {}
        height, width, channels = spans.frame_shape
        self.frames = torch.empty((int(self._base[-1]), channels, height, width), dtype=torch.uint8, device=self.device)
        block = max(1, (64 << 20) // (height * width * channels))
        for base, store in zip(self._base[:-1].tolist(), stores, strict=True):
            for low in range(0, len(store.frames), block):
                rows = torch.from_numpy(np.ascontiguousarray(store.frames[low : low + block]))
                place = self.frames[base + low : base + low + len(rows)]
                place.copy_(rows.to(self.device).movedim(-1, 1))

    @property
    def digest(self) -> str:
        """Hash that identifies the items: that of the sampler."""
        return self.spans.digest

    def __len__(self) -> int:
        return len(self.spans)

    def read(self, items: np.ndarray, out: Any = None) -> dict[str, Any]:
        """Read a batch.

        Args:
            items: (B,) indices of items.
            out: Not used, because the batch is made on the device.

        Returns:
            "frames" (B, L, C, H, W) uint8, `columns`, and the sampler's own fields, all on the device.
        """
        number, rows = self.spans.locate(items)
        first = self._move(self._base[number] + rows)
        frames = self.frames[first[:, None] + self._steps]
        fields = {name: self._move(values) for name, values in self.spans.columns(number, rows).items()}
        further = {name: values[first[:, None] + self._steps[:-1]] for name, values in self.columns.items()}
        return {"frames": frames, **further, **fields}

    def _move(self, values: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if self.device.type == "cuda":
            # pinned memory, so that the copy does not wait for earlier kernels
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def _numbered(device: str | torch.device) -> torch.device:
    """Give the device with its index, because "cuda" may mean another device in another thread."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def fits(spans: Spans, device: str | torch.device) -> bool:
    """Tell whether all frames of a sampler fit on a device beside what training needs."""
    device = torch.device(device)
    if device.type != "cuda":
        return False
    need = sum(len(store.frames) for store in spans.rollouts.stores) * int(np.prod(spans.frame_shape))
    return need <= HEADROOM * torch.cuda.mem_get_info(device)[0]
