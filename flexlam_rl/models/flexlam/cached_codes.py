"""Codes of all transitions of a data set, encoded once.

Legend: `N` rows of the rollouts, `M` slots, `C H W` a frame.
"""

import torch
from torch import Tensor

from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.train.resident import ResidentSpans


@torch.no_grad()
def encode_rows(lam: SlotModel, frames: Tensor, batch: int = 4096) -> Tensor:
    """Encode the transition from each row to the next.

    Args:
        lam: A LAM with codes, on the frames' device.
        frames: uint8 (N, C, H, W).
        batch: Transitions at a time.

    Returns:
        int16 (N, M), or int32 where there are more codes. The last row, and rows that end an episode, hold codes of no
        transition, which no sampler asks for.
    """
    kind = torch.int16 if lam.code_count <= 2**15 else torch.int32
    codes = torch.zeros(len(frames), lam.config.slots, dtype=kind, device=frames.device)
    for first in range(0, len(frames) - 1, batch):
        last = min(first + batch, len(frames) - 1)
        found = lam.quantize(frames[first:last], frames[first + 1 : last + 1]).codes
        assert found is not None, "a LAM with codes gives them"
        codes[first:last] = found.to(kind)
    return codes


def keep_codes(lam: SlotModel, items: ResidentSpans) -> None:
    """Encode all transitions of resident items once; their batches have "codes" from then on."""
    items.columns["codes"] = encode_rows(lam.to(items.device), items.frames)
