"""Stage 2: the latent-token sequence model on action-free windows, the LAM frozen (paper, appendix B)."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from flexlam_rl.datasets.marks import EXPERT_CHOSE
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.host_draws import host_stream
from flexlam_rl.nn.prefix import sample_prefix_lengths
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage

Targets = Literal["blocks", "prefixes"]
"""What a step predicts: complete code blocks (paper, appendix B.2), or the first codes of each, as many as the mixed
prefix law draws.

A decision spends its budget on first codes, whose mistakes cost most; prefixes train these in every step, and cost
less.
"""


class SequenceStage(SourceStage):
    """Cross-entropy over code blocks of a frozen LAM, or over their first codes."""

    name = "sequence"

    def __init__(
        self,
        model: SequenceModel,
        lam: SlotModel,
        source: Source,
        held_out: Mapping[str, Tensor],
        targets: Targets = "blocks",
    ) -> None:
        """
        Args:
            model: What trains.
            lam: Frozen; gives the codes.
            source: Batches with "frames" (B, T + 1, H, W, C): T transitions a window; and "expert_chose" (B, T + 1)
                where a step may be another's choice, which is seen and never predicted.
            held_out: The same of windows that are never trained on, uint8 (B, T + 1, C, H, W).
            targets: What a step predicts.
        """
        if model.config.slots != lam.config.slots or model.config.codes != lam.code_count:
            raise ValueError(
                f"the sequence model has {model.config.slots} slots of {model.config.codes} codes, "
                f"the LAM {lam.config.slots} of {lam.code_count}; they must be equal."
            )
        super().__init__({"sequence": model}, source, lam)
        self.model, self.lam, self.held_out = model, lam.requires_grad_(False).eval(), held_out
        self.targets = targets
        # windows are longer from there on, where the source has a curriculum
        self.grows_at = getattr(source, "short_steps", None)

    def next_batch(self, device: str) -> dict[str, Tensor]:
        self.lam.to(device)
        batch = super().next_batch(device)
        if "codes" in batch:  # encoded once, and kept beside the frames
            return batch | {"codes": batch["codes"].long()}
        return batch | {"codes": encode_windows(self.lam, batch["frames"])}

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        phase, predicted = self._shape(generator)
        losses = self.model.loss(batch["frames"], batch["codes"], phase, predicted)
        targets = batch.get(EXPERT_CHOSE)
        figures = {"loss_first": mean_over(losses[..., :1], targets), "loss_last": mean_over(losses[..., -1:], targets)}
        return mean_over(losses, targets), figures

    def _shape(self, generator: torch.Generator) -> tuple[int, int | None]:
        """Draw what a step's shapes depend on: where the stride stands, and how many codes it predicts."""
        host = host_stream(generator)
        # windows begin anywhere in an episode, so the stride may stand anywhere relative to their first frame
        phase = int(torch.randint(0, self.model.config.stride, (1,), generator=host))
        # one length for the whole batch: tokens of other lengths would be computed for nothing
        if self.targets == "blocks":
            return phase, None
        return phase, max(1, int(sample_prefix_lengths(1, self.model.config.slots, host, "mixed")))

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Cross-entropy and accuracy of held-out blocks: of all codes, and of the first code alone."""
        losses, hits = [], []
        for frames in self.held_out["frames"].split(16):
            frames = frames.to(device)
            codes = encode_windows(self.lam, frames)
            logits = self.model(frames[:, :-1], codes)
            losses.append(-logits.float().log_softmax(-1).gather(-1, codes[..., None])[..., 0])
            hits.append((logits.argmax(-1) == codes).float())
        targets = self.held_out.get(EXPERT_CHOSE)
        return {
            name + part: float(mean_over(torch.cat(values).cpu()[..., :codes], targets))
            for part, codes in (("", None), ("_first", 1))
            for name, values in (("loss", losses), ("accuracy", hits))
        }


def mean_over(values: Tensor, targets: Tensor | None) -> Tensor:
    """Mean of values (B, T, K) over the transitions that are targets.

    Args:
        values: Of T transitions.
        targets: Bool (B, T + 1), a row more than there are transitions; None for all.
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
