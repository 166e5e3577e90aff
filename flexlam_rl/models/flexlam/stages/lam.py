"""Stage 1: LAM pretraining on action-free transitions (paper, sections 4.1 and A.6)."""

from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.budgets import budgets
from flexlam_rl.models.flexlam.sheets import prefix_sheet
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class LAMStage(SourceStage):
    """Trains FlexLAM, a Fixed-K model or another latent action model on pairs of frames."""

    name = "lam"

    def __init__(
        self,
        model: SlotModel,
        source: Source,
        held_out: dict[str, Tensor],
        flip: bool = True,
        prefix_distribution: PrefixDistribution = "uniform",
    ) -> None:
        """
        Args:
            model: The model that trains; called with frames, generator and prefix distribution, it gives a `StepLoss`.
            source: Batches with "obs" and "next_obs".
            held_out: "obs" and "next_obs", uint8 (B, C, H, W), never trained on.
            flip: Mirror half of the examples left to right. A mirrored pair is a possible transition of a mirrored
                world.
            prefix_distribution: Distribution of FlexLAM's prefix lengths.
        """
        super().__init__({"lam": model}, source)
        self.model, self.held_out, self.flip = model, held_out, flip
        self.prefix_distribution = prefix_distribution

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames = self.mirrored([batch["obs"], batch["next_obs"]], generator)
        out = self.model(*frames, generator, self.prefix_distribution)
        return out.loss, out.figures()

    def mirrored(self, frames: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """Mirror half of the examples in all of the given frames, (B, C, H, W) each."""
        if not self.flip:
            return frames
        rows = torch.rand(len(frames[0]), generator=generator, device=generator.device) < 0.5
        return [torch.where(rows[:, None, None, None], x.flip(-1), x) for x in frames]

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Evaluate on held-out transitions: prediction error as a function of K, all at the same noise, PSNR if pixels
        are predicted, and the use of the bottleneck.
        """
        model = self.model
        figures: dict[str, float] = {}
        obs, next_obs = self.held_out["obs"].to(device), self.held_out["next_obs"].to(device)
        noise = torch.randn(obs.shape, generator=torch.Generator().manual_seed(0)).to(device)
        vectors, codes, _, usage = model.quantize(obs, next_obs)
        sweep = budgets(model.config.slots) if model.config.prefix else [model.config.slots]
        losses = []
        for k in sweep:
            slots = null_fill(vectors, torch.full((len(obs),), k, device=device), model.null)
            value = float(model.prediction_error(obs, next_obs, slots, noise).mean())
            figures[f"loss_k{k}"] = value
            if k:
                losses.append(value)
        if isinstance(model, PixelModel):
            decoded = model.sample(obs[:64], vectors[:64], 4, torch.Generator(device).manual_seed(0))
            figures["psnr"] = float(peak_signal_to_noise(decoded, to_unit(next_obs[:64])).mean())
        if usage is not None:
            figures["bits"] = float(usage)
        if codes is not None:
            figures |= _perplexity(codes, model.code_count)
        figures["loss"] = sum(losses) / len(losses)
        return figures

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw current frame, true next frame, and the model's predictions from K = 1, 4, 16, ... codes, if it predicts
        pixels.
        """
        if not isinstance(self.model, PixelModel):
            return
        device = self.model.null.device
        obs, next_obs = (self.held_out[name][:8].to(device) for name in ("obs", "next_obs"))
        prefix_sheet(self.model, obs, next_obs, path)


def _perplexity(codes: Tensor, count: int) -> dict[str, float]:
    """Number of codes in use out of `count`, as perplexity: of the first slot, and on average over slots."""
    shares = torch.stack([torch.bincount(codes[:, m], minlength=count) for m in range(codes.shape[1])]).float()
    shares = shares / shares.sum(-1, keepdim=True)
    entropy = -(shares * shares.clamp_min(1e-12).log()).sum(-1)
    return {"perplexity_first": float(entropy[0].exp()), "perplexity_mean": float(entropy.exp().mean())}
