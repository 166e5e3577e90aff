"""Stage 2: TECO, or a model without latent dynamics, on the codes of a frozen VQ-GAN."""

from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.teco.stages.sources import prefixes
from flexlam_rl.models.teco.world import FrameWorld
from flexlam_rl.train.clips import write_clips
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class DynamicsStage(SourceStage):
    """Trains by the losses of `FrameWorld.loss`.

    Args:
        name: Name of the stage and of the model.
        model: The model; all of it trains except its VQ-GAN.
        source: Batches as from `TransitionSource`.
        held_out: Clips on the CPU as from `sources.held_out`, never trained on.
        lam: Frozen LAM whose latent actions the model is given; None for none.
        budget: K, the slots of each latent action.
    """

    def __init__(
        self,
        name: str,
        model: FrameWorld,
        source: Source,
        held_out: dict[str, Tensor],
        lam: SlotModel | None = None,
        budget: int = 0,
    ) -> None:
        frozen = () if lam is None else (lam.requires_grad_(False).eval(),)
        super().__init__({name: model}, source, *frozen)
        self.name, self.model, self.held_out, self.lam, self.budget = name, model, held_out, lam, budget

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """Give the next batch: "codes" of the VQ-GAN, and "told", if the model is given conditions."""
        read = super().next_batch(device)
        kept = read.get("frame_codes")
        batch = {"codes": self.model.frame_codes(read["frames"]) if kept is None else kept.long()}
        if self.lam is not None:
            batch["told"] = prefixes(self.lam.to(device), read["codes"], self.budget)
        elif "actions" in read:
            batch["told"] = read["actions"]
        return batch

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        out = self.model.loss(batch["codes"], batch.get("told"), generator)
        return out.loss, out.figures

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute the losses at all times of held-out clips, with all conditions, and as "silent" without any."""
        sums: dict[str, float] = {}
        clips, generator = self.held_out["frames"], torch.Generator(device).manual_seed(0)
        for first in range(0, len(clips), 4):
            frames = clips[first : first + 4].to(device)
            codes, share = self.model.frame_codes(frames), len(frames) / len(clips)
            told = self.held_out["told"][first : first + 4].to(device) if "told" in self.held_out else None
            out = self.model.loss(codes, told, generator, drop_loss=0.0, silent=False)
            found = {"loss": out.loss, **out.figures}
            if told is not None:
                nothing = self.model.unknown(told.shape[0], told.shape[1], told.device)
                found["silent"] = self.model.loss(codes, nothing, generator, drop_loss=0.0, silent=False).loss
            for key, value in found.items():
                sums[key] = sums.get(key, 0.0) + share * float(value)
        return sums

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw two held-out clips: up to 16 frames of their second half, each above its prediction."""
        frames = self.held_out["frames"][:2].to(next(self.model.parameters()).device)
        seen = frames.shape[1] // 2
        count = min(16, frames.shape[1] - seen)
        told = self.held_out.get("told")
        ahead, past = None, None
        if told is not None:
            known = told[:2].to(frames.device)
            ahead, past = known[:, seen : seen + count], known[:, 1:seen]
        generator = torch.Generator(frames.device).manual_seed(0)
        made = self.model.rollout(frames[:, :seen], ahead, generator, past, count)
        write_clips(path, [x for i in range(len(frames)) for x in (frames[i, seen : seen + count], made[i])])
