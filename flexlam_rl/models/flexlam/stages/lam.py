"""Stage 1: LAM pretraining on action-free transitions (paper, sections 4.1 and A.6)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.decoder import peak_signal_to_noise
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sheets import prefix_sheet
from flexlam_rl.nn.prefix import PrefixLaw, null_fill
from flexlam_rl.nn.prefix import reported_budgets as budgets
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.train.source import Source, to_device


class LAMStage:
    """FlexLAM or Fixed-K, by the model's configuration."""

    name = "lam"

    def __init__(
        self, model: LAM, source: Source, held_out: dict[str, Tensor], flip: bool = True, law: PrefixLaw = "uniform"
    ) -> None:
        """
        Args:
            model: The LAM.
            source: Batches with "current" and "following".
            held_out: "current" and "following", uint8 (B, C, H, W), never trained on.
            flip: Mirror half of the examples left to right. A mirrored pair is a possible transition of a mirrored
                world.
            law: How FlexLAM's prefix lengths are drawn.
        """
        self.model, self.source, self.held_out, self.flip = model, source, held_out, flip
        self.law = law

    def saved(self) -> dict[str, PretrainedModel]:
        return {"lam": self.model}

    def trained(self) -> dict[str, nn.Module]:
        return {"lam": self.model}

    def next_batch(self, device: str) -> dict[str, Tensor]:
        return to_device(self.source.next(), device)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        current, following = batch["current"], batch["following"]
        if self.flip:
            mirrored = torch.rand(len(current), generator=generator, device=generator.device) < 0.5
            current, following = (
                torch.where(mirrored[:, None, None, None], x.flip(-1), x) for x in (current, following)
            )
        out = self.model(current, following, generator, self.law)
        return out.loss, {}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Flow loss and PSNR on held-out transitions as a function of K, all at the same noise, and the use of
        codes.
        """
        model = self.model
        figures: dict[str, float] = {}
        current, following = self.held_out["current"].to(device), self.held_out["following"].to(device)
        noise = torch.randn(current.shape, generator=torch.Generator().manual_seed(0)).to(device)
        tau = torch.zeros(len(current), device=device)
        vectors, codes, _ = model.quantize(current, following)
        sweep = budgets(model.config.slots) if model.config.prefix else [model.config.slots]
        losses = []
        for k in sweep:
            slots = null_fill(vectors, torch.full((len(current),), k, device=device), model.null)
            # pure noise: what the codes do not tell is not to be had elsewhere
            value = float(model.decoder.loss(current, following, slots, tau, noise).mean())
            figures[f"loss_k{k}"] = value
            if k:
                losses.append(value)
        generator = torch.Generator(device).manual_seed(0)
        decoded = model.decoder.sample(current[:64], vectors[:64], 4, generator)
        figures["psnr"] = float(peak_signal_to_noise(decoded, following[:64].float() / 127.5 - 1).mean())
        if codes is not None:
            figures |= _perplexity(codes, model.code_count)
        figures["loss"] = sum(losses) / len(losses)
        return figures

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Current frame, true next frame, and what the decoder makes of K = 1, 4, 16, ... codes."""
        device = self.model.null.device
        current, following = (self.held_out[name][:8].to(device) for name in ("current", "following"))
        prefix_sheet(self.model, current, following, path)

    def cursor(self) -> dict[str, Any]:
        return self.source.state_dict()

    def seek(self, cursor: dict[str, Any]) -> None:
        self.source.load_state_dict(cursor)


def _perplexity(codes: Tensor, count: int) -> dict[str, float]:
    """How many of `count` codes are used, as perplexity: by the first slot, and on average over slots."""
    shares = torch.stack([torch.bincount(codes[:, m], minlength=count) for m in range(codes.shape[1])]).float()
    shares = shares / shares.sum(-1, keepdim=True)
    entropy = -(shares * shares.clamp_min(1e-12).log()).sum(-1)
    return {"perplexity_first": float(entropy[0].exp()), "perplexity_mean": float(entropy.exp().mean())}


if __name__ == "__main__":
    from flexlam_rl.models.flexlam.pipeline import main

    main("lam")
