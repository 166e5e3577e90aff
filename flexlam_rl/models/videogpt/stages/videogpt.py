"""Stage 2: the prior over the codes of a frozen VQ-VAE."""

import math
from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.videogpt.stages.clips import latent_actions, told_of
from flexlam_rl.models.videogpt.videogpt import VideoGPT
from flexlam_rl.train.clips import write_clips
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class VideoGPTStage(SourceStage):
    """Trains by the cross-entropy of the codes of clips.

    Args:
        model: The model, whose prior trains and whose VQ-VAE does not.
        source: Batches as from `ClipSource`.
        held_out: One such batch on the CPU, never trained on.
        lam: Frozen LAM that gives the latent actions on which the prior is conditioned; None for none.
        budget: K, the slots of each latent action.
    """

    name = "videogpt"

    def __init__(
        self,
        model: VideoGPT,
        source: Source,
        held_out: dict[str, Tensor],
        lam: SlotModel | None = None,
        budget: int = 0,
    ) -> None:
        frozen = () if lam is None else (lam.requires_grad_(False).eval(),)
        super().__init__({"videogpt": model}, source, *frozen)
        self.model, self.held_out, self.lam, self.budget = model, held_out, lam, budget

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """Give the next batch, with its frames as codes."""
        return self._coded(super().next_batch(device))

    def _coded(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        frames = batch["frames"]
        coded = batch | {"codes": self.model.encode(frames)}
        if self.lam is not None:
            self.lam.to(frames.device)
            coded["latents"] = latent_actions(self.lam, frames, self.budget)
        return coded

    def _log_probs(self, batch: dict[str, Tensor], generator: torch.Generator | None) -> Tensor:
        told = told_of(batch, bool(self.model.config.prior.tasks))
        told = told._replace(context=self.model.context_of(batch["frames"]))
        return self.model.prior.log_probs(batch["codes"], told, generator)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        loss = -self._log_probs(batch, generator).mean()
        return loss, {"bits_per_code": loss.detach() / math.log(2.0)}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute the cross-entropy per code on held-out clips, in nats (the loss) and bits, and the bits per pixel
        value.
        """
        logs = []
        for first in range(0, len(self.held_out["frames"]), 16):
            batch = {name: values[first : first + 16].to(device) for name, values in self.held_out.items()}
            logs.append(self._log_probs(self._coded(batch), None))
        every = torch.cat(logs).double()
        nats = -float(every.mean())
        bits = nats / math.log(2.0)
        values = self.held_out["frames"][0].numel()
        return {"loss": nats, "bits_per_code": bits, "bits_per_value": bits * every.shape[1] / values}

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw two held-out clips, each above a sample under the same conditions."""
        device = self.model.prior.start.device
        batch = self._coded({name: values[:2].to(device) for name, values in self.held_out.items()})
        told = told_of(batch, bool(self.model.config.prior.tasks))
        told = told._replace(context=self.model.context_of(batch["frames"]))
        made = self.model.sample(2, told, generator=torch.Generator(device).manual_seed(0))
        write_clips(path, [x for pair in zip(batch["frames"], made, strict=True) for x in pair])
