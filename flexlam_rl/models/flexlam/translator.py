"""Translator: a null-filled prefix and the previous action to an executable action (paper, sections 4.2 and A.4), and
the heads it shares.

Shapes: B batch, M slots, d numbers a slot, A sum of all discrete choices, G continuous dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import ActionSpec, TranslatorConfig
from flexlam_rl.nn.blocks import patchify, to_unit
from flexlam_rl.nn.pretrained import PretrainedModel

NO_ACTION = -1
"""Previous action of an episode's first step, in every discrete dimension."""


class Hourglass(nn.Module):
    """Hourglass MLP: residual blocks that go from a wide stream through a narrow layer and back."""

    def __init__(self, inputs: int, outputs: int, depth: int, hidden: int, wide: int) -> None:
        super().__init__()
        self.inward = nn.Linear(inputs, wide)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(wide), nn.Linear(wide, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, wide)
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(wide)
        self.outward = nn.Linear(wide, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inward(x)
        for block in self.blocks:
            x = x + block(x)
        return self.outward(self.norm(x))


def action_inputs(spec: ActionSpec) -> int:
    """Numbers that `embed_actions` gives for one action."""
    return sum(n + 1 for n in spec.discrete) + spec.continuous


def embed_actions(actions: Tensor, spec: ActionSpec) -> Tensor:
    """Actions (B, discrete + continuous) to one-hot vectors, one place more a dimension for "no action yet" (-1), and
    plain numbers.
    """
    parts = [F.one_hot(actions[:, i].long() + 1, n + 1).float() for i, n in enumerate(spec.discrete)]
    if spec.continuous:
        parts.append(actions[:, len(spec.discrete) :].float())
    return torch.cat(parts, dim=-1)


def action_outputs(spec: ActionSpec) -> int:
    """Numbers a head puts out: logits of all discrete choices, then the continuous values."""
    return sum(spec.discrete) + spec.continuous


def action_losses(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> Tensor:
    """Loss of each example (B,): cross-entropy a discrete dimension plus squared error a continuous one."""
    loss = torch.zeros(len(outputs), device=outputs.device, dtype=torch.float32)
    start = 0
    for i, n in enumerate(spec.discrete):
        loss = loss + F.cross_entropy(outputs[:, start : start + n].float(), actions[:, i].long(), reduction="none")
        start += n
    if spec.continuous:
        loss = loss + (outputs[:, start:].float() - actions[:, len(spec.discrete) :].float()).square().sum(dim=-1)
    return loss


def choose_actions(outputs: Tensor, spec: ActionSpec, generator: torch.Generator | None = None) -> Tensor:
    """Actions (B, discrete + continuous) from a head's outputs: the likeliest choices, or drawn where a generator is
    given.

    The result is int64 where all dimensions are discrete, else float32.
    """
    parts: list[Tensor] = []
    start = 0
    for n in spec.discrete:
        logits = outputs[:, start : start + n].float()
        chosen = (
            logits.argmax(-1, keepdim=True)
            if generator is None
            else torch.multinomial(logits.softmax(-1), 1, generator=generator)
        )
        parts.append(chosen)
        start += n
    if spec.continuous:
        return torch.cat([p.float() for p in parts] + [outputs[:, start:].float()], dim=-1)
    return torch.cat(parts, dim=-1)


class FrameFeatures(nn.Module):
    """A small view of the current frame, for the conditioning ablation (paper, appendix D.1)."""

    def __init__(self, image_size: int, channels: int, out: int = 64, patch: int = 8) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch * patch, 32)
        self.out = nn.Linear(32 * (image_size // patch) ** 2, out)

    def forward(self, frames: Tensor) -> Tensor:
        return self.out(F.gelu(self.embed(patchify(to_unit(frames), self.patch))).flatten(1))


class Translator(PretrainedModel):
    """Hourglass MLP over the flattened null-filled slots and the previous action. No length and no mask goes in: the
    nulls tell it.
    """

    config_class = TranslatorConfig
    heavy = ("mlp",)

    def __init__(self, config: TranslatorConfig) -> None:
        super().__init__()
        self.config = config
        inputs = config.slots * config.code_dim
        seen = config.conditioning.split("+")
        self.sees_previous = "action" in seen
        inputs += action_inputs(config.actions) if self.sees_previous else 0
        self.frame = FrameFeatures(config.image_size, config.channels) if "frame" in seen else None
        inputs += 64 if self.frame else 0
        self.mlp = Hourglass(inputs, action_outputs(config.actions), config.depth, config.hidden, config.wide)

    def forward(self, slots: Tensor, previous: Tensor, current: Tensor | None = None) -> Tensor:
        """Outputs (B, A + G) from null-filled `slots` (B, M, d), `previous` actions (B, dims) and, where conditioned on
        it, the frame.
        """
        parts = [slots.flatten(1)]
        if self.sees_previous:
            parts.append(embed_actions(previous, self.config.actions))
        if self.frame is not None:
            if current is None:
                raise ValueError("This translator is conditioned on the current frame; none was given.")
            parts.append(self.frame(current))
        return self.mlp(torch.cat(parts, dim=-1))
