"""Codes of all transitions of a data set, encoded once by a frozen LAM.

Stored frames are encoded without changes, in float32, as in play. Training on changed frames (for example mirrored
ones) must encode the changed frames instead.

Legend: `N` rows of the rollouts, `M` slots, `C H W` a frame.
"""

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts
from flexlam_rl.datasets.derived import derived_columns
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.modes import own_modes
from flexlam_rl.train.resident import ResidentSpans

KIND = "codes"
"""Folder beside a store's columns."""


def stored_codes(
    lam: SlotModel, digest: str, rollouts: Rollouts, device: str | torch.device = "cpu"
) -> list[np.ndarray]:
    """Give the codes of all transitions; stores that this LAM has not encoded yet are encoded.

    Args:
        lam: A LAM with codes.
        digest: Digest of the LAM's configuration and weights, by which stored codes are found again.
        rollouts: The rollouts; codes are stored beside each store, in its folder `codes`.
        device: Device of the encoding.

    Returns:
        Per store (N, M) integers, for the transition from each row to the next. Rows that end an episode hold codes
        that stand for no transition; no sampler uses them.

    Raises:
        DamagedData: Stored codes do not match their checksums; the sentence names the file.
        DiskFull: There is no room to store them.
    """
    lam = lam.to(device)
    kind = np.int16 if lam.code_count <= 2**15 else np.int32
    batch = 64 if torch.device(device).type == "cpu" else 1024  # what fits into a CPU's caches

    def encode(store: RolloutStore, first: int, last: int) -> np.ndarray:
        frames = torch.from_numpy(store.frames.read(first, min(last + 1, store.rows)))
        codes = encode_rows(lam, frames.to(device).movedim(-1, 1).contiguous(), batch)
        return codes[: last - first].cpu().numpy()

    return derived_columns(rollouts.stores, KIND, digest, (lam.config.slots,), kind, encode, "encoding transitions")


def encode_rows(lam: SlotModel, frames: Tensor, batch: int = 4096) -> Tensor:
    """Encode the transition from each row to the next.

    Args:
        lam: A LAM with codes, on the frames' device.
        frames: uint8 (N, C, H, W).
        batch: Transitions per encoder call.

    Returns:
        int16 (N, M), or int32 for large codebooks. The last row, and rows that end an episode, hold codes that stand
        for no transition; no sampler uses them.
    """
    kind = torch.int16 if lam.code_count <= 2**15 else torch.int32
    codes = torch.zeros(len(frames), lam.config.slots, dtype=kind, device=frames.device)
    with own_modes():
        for first in range(0, len(frames) - 1, batch):
            last = min(first + batch, len(frames) - 1)
            found = lam.quantize(frames[first:last], frames[first + 1 : last + 1]).codes
            assert found is not None, "a LAM with codes gives them"
            codes[first:last] = found.to(kind)
    return codes


def keep_codes(lam: SlotModel, items: ResidentSpans) -> None:
    """Encode all transitions of resident items once; from then on, their batches have "codes"."""
    items.columns["codes"] = encode_rows(lam.to(items.device), items.frames)
