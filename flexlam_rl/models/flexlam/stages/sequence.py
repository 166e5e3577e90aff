"""Stage 2: the latent-token sequence model, trained on action-free windows with a frozen LAM (paper, appendix B)."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from flexlam_rl.datasets.marks import EXPERT_CHOSE
from flexlam_rl.models.flexlam.block_prior import BlockPrior
from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.priors import CodePrior
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.host_draws import host_stream
from flexlam_rl.nn.prefix import prefix_probabilities, sample_prefix_lengths
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage

Targets = Literal["blocks", "prefixes"]
"""What a step predicts: whole code blocks (paper, appendix B.2), or the first codes of each, whose number is drawn from
the mixed prefix distribution.

A decision spends its budget on first codes, whose errors cost most. Training on prefixes trains these in every step,
and costs less.
"""


PAST_PREFIXES = 0.25
"""Share of windows in which priors over time see past blocks as prefixes, with lengths from the mixed distribution.
The prior can then be given any prefix of a past block.
"""


class SequenceStage(SourceStage):
    """Trains by cross-entropy over code blocks of a frozen LAM, or over their first codes."""

    name = "sequence"

    def __init__(
        self,
        model: CodePrior,
        lam: SlotModel,
        source: Source,
        held_out: Mapping[str, Tensor],
        targets: Targets = "blocks",
        drop_frames: float = 0.0,
        drop_blocks: float = 0.0,
    ) -> None:
        """
        Args:
            model: The sequence model, which trains.
            lam: Frozen latent action model, which gives the codes.
            source: Batches with "frames" (B, T + 1, H, W, C) for T transitions per window; "codes" (B, T, M) if they
                are known; and "expert_chose" (B, T + 1) if some steps are not the expert's choice, which are seen but
                never predicted.
            held_out: The same for windows that are never trained on, with uint8 frames (B, T + 1, C, H, W).
            targets: What each step predicts.
            drop_frames, drop_blocks: Probabilities that a frame or a block is hidden from later decisions of a window.
        """
        if model.config.slots != lam.config.slots or model.config.codes != lam.code_count:
            raise ValueError(
                f"the sequence model has {model.config.slots} slots of {model.config.codes} codes, "
                f"the LAM {lam.config.slots} of {lam.code_count}; they must be equal."
            )
        super().__init__({"sequence": model}, source, lam)
        self.model, self.lam, self.held_out = model, lam.requires_grad_(False).eval(), held_out
        self.targets, self.drop_frames, self.drop_blocks = targets, drop_frames, drop_blocks
        # with a curriculum, windows become longer at this step
        self.grows_at = getattr(source, "short_steps", None)

    def next_batch(self, device: str) -> dict[str, Tensor]:
        batch = super().next_batch(device)
        if "codes" in batch:  # encoded once and stored
            return batch | {"codes": batch["codes"].long()}
        self.lam.to(device)
        return batch | {"codes": encode_windows(self.lam, batch["frames"])}

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        codes = batch["codes"]
        phase, predicted = self._shape(generator)
        seen: dict[str, Any] = {"dropped": Dropped.draw(codes.shape[1], self.drop_frames, self.drop_blocks, generator)}
        if isinstance(self.model, BlockPrior):
            seen["kept"] = kept_prefixes(codes, self.model.config.slots, generator)
        losses = self.model.loss(batch["frames"], codes, phase, predicted, **seen)
        targets = batch.get(EXPERT_CHOSE)
        figures = {"loss_first": mean_over(losses[..., :1], targets), "loss_last": mean_over(losses[..., -1:], targets)}
        return mean_over(losses, targets), figures

    def _shape(self, generator: torch.Generator) -> tuple[int, int | None]:
        """Draw what the shapes of a step depend on: the phase of the stride, and the number of predicted codes."""
        host = host_stream(generator)
        # windows begin anywhere in an episode, so their first frame may have any phase of the stride
        phase = int(torch.randint(0, self.model.config.stride, (1,), generator=host))
        return phase, predicted_slots(self.model.config.slots, self.targets, host)

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Cross-entropy and accuracy of held-out blocks, averaged over all phases of the stride.

        "loss" is the mean over the prefixes that are trained, "loss_all" the mean over whole blocks. Each phase takes
        its share of the windows, or all of them if there are few.
        """
        loss, hit = self.losses(device)
        return {
            "loss": float((loss * slot_weights(len(loss), self.targets)).sum()),
            "loss_all": float(loss.mean()),
            "loss_first": float(loss[0]),
            "accuracy": float(hit.mean()),
            "accuracy_first": float(hit[0]),
        }

    @torch.no_grad()
    def losses(self, device: str) -> tuple[Tensor, Tensor]:
        """Cross-entropy and accuracy of each slot of held-out blocks, float64 (M,) each, averaged as in `evaluate`."""
        stride, count = self.model.config.stride, len(self.held_out["frames"])
        self.lam.to(device)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for phase in range(stride):
            rows = torch.arange(phase, count, stride) if count >= stride else torch.arange(count)
            parts += [self._scores(part, phase, device) for part in rows.split(16)]
        losses, hits, targets = (torch.cat(values) for values in zip(*parts, strict=True))
        slots = range(losses.shape[-1])
        loss, hit = (
            torch.stack([mean_over(values[..., m : m + 1], targets) for m in slots]) for values in (losses, hits)
        )
        return loss, hit

    def _scores(self, rows: Tensor, phase: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
        """Cross-entropy and correctness of the likeliest code, (B, T, M) each, in held-out windows, and which of their
        transitions are targets, (B, T + 1).
        """
        frames = self.held_out["frames"][rows]
        targets = self.held_out.get(EXPERT_CHOSE)
        chosen = torch.ones(frames.shape[:2], dtype=torch.bool) if targets is None else targets[rows]
        codes = encode_windows(self.lam, frames.to(device))
        logits = self.model(frames[:, :-1].to(device), codes, phase)
        losses = -logits.float().log_softmax(-1).gather(-1, codes[..., None])[..., 0]
        return losses.cpu().double(), (logits.argmax(-1) == codes).cpu().double(), chosen


def predicted_slots(slots: int, targets: Targets, host: torch.Generator) -> int | None:
    """Draw how many of M slots a step predicts, None for all. All examples share the length, as tokens beyond an
    example's own would be computed in vain.
    """
    return None if targets == "blocks" else max(1, int(sample_prefix_lengths(1, slots, host, "mixed")))


def kept_prefixes(latents: Tensor, slots: int, generator: torch.Generator) -> Tensor:
    """Draw the length of the prefix of past blocks in each window, (B, T), for latents (B, T, ...) of M slots."""
    rows = len(latents)
    lengths = sample_prefix_lengths(rows, slots, generator, "mixed")
    coin = torch.rand(rows, generator=generator, device=generator.device, dtype=torch.float32)
    return torch.where(coin < PAST_PREFIXES, lengths, slots)[:, None].expand(latents.shape[:2])


def slot_weights(slots: int, targets: Targets) -> Tensor:
    """Weight of each slot in the mean over the prefixes that are trained: float64 (M,), with sum 1."""
    if targets == "blocks":
        return torch.full((slots,), 1 / slots, dtype=torch.float64)
    chances = prefix_probabilities(slots, "mixed")
    chances[1] += chances[0]  # a step predicts at least one code
    per_code = chances[1:] / torch.arange(1, slots + 1)
    return per_code.flip(0).cumsum(0).flip(0)


def mean_over(values: Tensor, targets: Tensor | None) -> Tensor:
    """Mean of values (B, T, K) over the transitions that are targets.

    Args:
        values: Values of T transitions.
        targets: Bool (B, T + 1), with one row more than there are transitions; None for all.
    """
    if targets is None:
        return values.mean()
    chosen = targets[:, :-1, None].to(values)
    return (values * chosen).sum() / (chosen.sum() * values.shape[-1]).clamp(min=1)


@torch.no_grad()
def encode_windows(lam: SlotModel, frames: Tensor) -> Tensor:
    """Codes (B, T, M) of the transitions in windows of frames (B, T + 1, C, H, W)."""
    b, t = frames.shape[0], frames.shape[1] - 1
    codes = lam.quantize(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))[1]  # in the training's precision
    assert codes is not None, "a sequence model predicts codes"
    return codes.view(b, t, -1)
