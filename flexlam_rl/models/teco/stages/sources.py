"""Clips for training, with the actions or codes that led to each frame.

Shapes: B clips, T frames, C H W frame, M slots, K budget, d numbers per slot.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Windows
from flexlam_rl.datasets.loader import Batches
from flexlam_rl.models.flexlam.cached_codes import stored_codes
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.teco.stages.coded_clips import CodedClips
from flexlam_rl.models.videogpt.stages.clips import latent_actions
from flexlam_rl.train.clips import led_to
from flexlam_rl.train.data import FrameSource
from flexlam_rl.train.source import to_device


class TransitionSource:
    """Batches with "frames" (B, T, H, W, C), or "frame_codes" (B, T, h, w) where these are kept; "actions" (B, T), the
    action that led to each frame, if the windows have actions; and "codes" (B, T - 1, M) of a LAM, if there is one.

    Args:
        windows: Windows of consecutive rows.
        batch, seed, rank, ranks, device: As for `FrameSource`.
        lam: LAM that encodes every transition once, before training; its codes are stored beside the rollouts.
        digest: Digest of the LAM.
        frame_codes: Codes of all frames (`stored_frame_codes`), in whose place no frames are read; None for frames.
    """

    def __init__(
        self,
        windows: Windows,
        batch: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        device: str = "cpu",
        lam: SlotModel | None = None,
        digest: str = "",
        frame_codes: Sequence[np.ndarray] | None = None,
    ) -> None:
        codes = None if lam is None else stored_codes(lam, digest, windows.rollouts, device)
        if frame_codes is None:
            source = FrameSource(windows, batch, seed, rank, ranks, device=device, codes=codes)
            self.batches, self._read = source.batches, source.next
            return
        clips = CodedClips(windows, frame_codes, codes)
        self.batches = Batches(clips, batch, seed=seed, rank=rank, world_size=ranks, workers=1, prefetch=2)
        self._read = self.batches.__next__

    def next(self) -> dict[str, Any]:
        """Give the next batch."""
        read = self._read()
        batch: dict[str, Any] = {name: read[name] for name in ("frames", "frame_codes", "codes") if name in read}
        if "action" in read:
            batch["actions"] = led_to(read["action"])
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Give the cursor."""
        return self.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a cursor."""
        self.batches.load_state_dict(state)


def held_out(windows: Windows, count: int, lam: SlotModel | None = None, budget: int = 0) -> dict[str, Tensor]:
    """Read `count` clips, uniform over the rollouts and always the same: "frames" uint8 (B, T, C, H, W), and "told"
    (B, T, ...) if the model is given conditions.
    """
    read = next(windows.batches(count, seed=0, workers=0))
    batch = {"frames": read["frames"]}
    if "action" in read:
        batch["told"] = led_to(np.asarray(read["action"]))
    clips = to_device(batch, "cpu")
    if lam is not None:
        clips["told"] = latent_actions(lam, clips["frames"], budget).cpu()
    return clips


@torch.no_grad()
def prefixes(lam: SlotModel, codes: Tensor, budget: int) -> Tensor:
    """Give the first `budget` slots of the latent action that led to each frame, (B, T, K d), 0 for the first frame.

    Args:
        lam: The LAM of the codes.
        codes: (B, T - 1, M).
        budget: K.
    """
    b, steps, m = codes.shape
    budgets = torch.full((b * steps,), budget, device=codes.device)
    slots = lam.keep_prefix_unchecked(codes.long().view(b * steps, m), budgets)[:, :budget]
    slots = slots.flatten(1).view(b, steps, -1)
    return torch.cat([torch.zeros_like(slots[:, :1]), slots], dim=1)
