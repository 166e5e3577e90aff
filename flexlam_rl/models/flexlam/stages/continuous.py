"""Stage 2 with the continuous prior: slot vectors of a frozen LAM, from action-free windows."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.datasets.marks import EXPERT_CHOSE
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.stages.sequence import Targets, kept_prefixes, mean_over, predicted_slots
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.host_draws import host_stream
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class ContinuousStage(SourceStage):
    """Trains by the head's loss over the slots of each block, or its first ones.

    Args:
        model: The continuous prior, which trains; `take_scale` has set its scale.
        lam: Frozen latent action model, which gives the latents.
        source: Batches as for `SequenceStage`.
        held_out: Held-out windows as for `SequenceStage`.
        targets: What each step predicts.
        drop_frames, drop_blocks: Probabilities that a frame or a block is hidden from later decisions of a window.
    """

    name = "sequence"

    def __init__(
        self,
        model: ContinuousPrior,
        lam: SlotModel,
        source: Source,
        held_out: Mapping[str, Tensor],
        targets: Targets = "blocks",
        drop_frames: float = 0.0,
        drop_blocks: float = 0.0,
    ) -> None:
        own, spec = model.config, lam.latent
        if (own.slots, own.dim, own.codes) != (spec.slots, spec.dim, spec.codes):
            raise ValueError(
                f"the continuous prior has {own.slots} slots of {own.dim} numbers and {own.codes} codes, the LAM "
                f"{spec.slots} of {spec.dim} and {spec.codes}; they must be equal."
            )
        super().__init__({"sequence": model}, source, lam)
        self.model, self.lam, self.held_out = model, lam.requires_grad_(False).eval(), held_out
        self.targets, self.drop_frames, self.drop_blocks = targets, drop_frames, drop_blocks

    def next_batch(self, device: str) -> dict[str, Tensor]:
        batch = super().next_batch(device)
        self.lam.to(device)
        codes = batch.pop("codes", None)
        return batch | {"latents": latents_of(self.lam, batch["frames"]) if codes is None else codes.long()}

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        latents, slots = batch["latents"], self.model.config.slots
        seen: dict[str, Any] = {
            "dropped": Dropped.draw(latents.shape[1], self.drop_frames, self.drop_blocks, generator),
            "predicted": predicted_slots(slots, self.targets, host_stream(generator)),
            "kept": kept_prefixes(latents, slots, generator),
        }
        losses = self.model.loss(batch["frames"], latents, generator, **seen)
        return mean_over(losses[..., None], batch.get(EXPERT_CHOSE)), {}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Evaluate on held-out windows, always with the same noise: "loss", "loss_first" of the first slot only, and
        "distance", that of the most typical vectors to the true ones as a share of the mean vector's.
        """
        self.lam.to(device)
        on = device if device != "cpu" else "cpu"
        generator = torch.Generator(on).manual_seed(0)
        sums: dict[str, list[Tensor]] = {"loss": [], "loss_first": [], "distance": []}
        chosen = []
        marks = self.held_out.get(EXPERT_CHOSE)
        for rows in torch.arange(len(self.held_out["frames"])).split(8):
            frames = self.held_out["frames"][rows].to(device)
            latents = latents_of(self.lam, frames)
            for name, predicted in (("loss", None), ("loss_first", 1)):
                sums[name].append(self.model.loss(frames, latents, generator, predicted, noisy=False).cpu())
            sums["distance"].append(self._distance(frames, latents).cpu())
            chosen.append(torch.ones(frames.shape[:2], dtype=torch.bool) if marks is None else marks[rows])
        targets = torch.cat(chosen)
        return {name: float(mean_over(torch.cat(part).double()[..., None], targets)) for name, part in sums.items()}

    def _distance(self, frames: Tensor, latents: Tensor) -> Tensor:
        """Squared distance (B, T) between the most typical vectors and the true ones, per number, at the scale where
        the distance of the mean is 1.
        """
        model, (rows, length) = self.model, latents.shape[:2]
        states = model.states(frames[:, :length], latents).flatten(0, 1)
        vectors = model.vectors(latents).flatten(0, 1)
        found = model.vectors(model.sample(states, torch.zeros_like(vectors), None))
        return (found - vectors).square().flatten(1).mean(1).view(rows, length)


@torch.no_grad()
def latents_of(lam: SlotModel, frames: Tensor) -> Tensor:
    """Codes (B, T, M) or vectors (B, T, M, d) of the transitions in windows of frames (B, T + 1, C, H, W)."""
    rows, length = frames.shape[0], frames.shape[1] - 1
    found = lam.quantize(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))
    latents = found.vectors if found.codes is None else found.codes
    return latents.unflatten(0, (rows, length))


@torch.no_grad()
def take_scale(model: ContinuousPrior, lam: SlotModel, frames: Tensor) -> None:
    """Set a prior's scale from the latents in windows of frames (B, T + 1, C, H, W), and its codes from the LAM's."""
    count = lam.latent.codes
    codebook = None if count is None else lam.quantizer.lookup(torch.arange(count))
    model.take(lam.embed(latents_of(lam, frames).flatten(0, 1)), codebook)
