"""Clips as the codes of a frozen VQ-GAN, which encodes all frames once and keeps their codes beside the rollouts.

Legend: `N` rows of a store, `B` clips, `T` frames, `h w` codes of a frame, `M` slots of a latent action.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from flexlam_rl.datasets import Rollouts, Windows
from flexlam_rl.datasets.derived import derived_columns
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.models.teco.vqgan import VQGAN
from flexlam_rl.train.data import gathered

KIND = "frame-codes"
"""Folder beside a store's columns."""


def stored_frame_codes(
    vqgan: VQGAN, digest: str, rollouts: Rollouts, device: str | torch.device = "cpu"
) -> list[np.ndarray]:
    """Give the codes of all frames; stores that this VQ-GAN has not encoded yet are encoded.

    Args:
        vqgan: The VQ-GAN.
        digest: Digest of its configuration and weights, by which stored codes are found again.
        rollouts: The rollouts; codes are stored beside each store, in its folder `frame-codes`.
        device: Device of the encoding.

    Returns:
        Per store (N, h, w) integers.

    Raises:
        DamagedData: Stored codes do not match their checksums; the sentence names the file.
        DiskFull: There is no room to store them.
    """
    vqgan, side = vqgan.to(device), vqgan.config.side
    kind = np.int16 if vqgan.config.codes <= 2**15 else np.int32

    def encode(store: RolloutStore, first: int, last: int) -> np.ndarray:
        frames = torch.from_numpy(store.frames.read(first, last)).movedim(-1, 1)
        return vqgan.encode(frames.to(device)[None])[0].cpu().numpy()

    return derived_columns(rollouts.stores, KIND, digest, (side, side), kind, encode, "encoding frames")


class CodedClips:
    """The items of windows, with the codes of their frames instead of the frames; cursors are those of the windows.

    Args:
        windows: Windows of consecutive rows.
        frame_codes: Result of `stored_frame_codes`.
        codes: Codes of each store's transitions, (N, M); None for none.
    """

    def __init__(
        self, windows: Windows, frame_codes: Sequence[np.ndarray], codes: Sequence[np.ndarray] | None = None
    ) -> None:
        self.windows, self.frame_codes, self.codes = windows, frame_codes, codes
        self.span, self.frame_shape, self.digest = windows.span, windows.frame_shape, windows.digest

    def __len__(self) -> int:
        return len(self.windows)

    def read(self, items: np.ndarray, out: Any = None) -> dict[str, np.ndarray]:
        """Read a batch: "frame_codes" (B, T, h, w), "codes" (B, T - 1, M) if there are any, and the windows' fields.

        Args:
            items: (B,) numbers of items.
            out: Not used, because no frames are read.
        """
        stores, rows = self.windows.locate(items)
        batch = self.windows.columns(stores, rows)
        batch["frame_codes"] = gathered(self.frame_codes, stores, rows, self.span)
        if self.codes is not None:
            batch["codes"] = gathered(self.codes, stores, rows, self.span - 1)
        return batch
