"""Translator: a null-filled prefix and the previous action to an executable action (paper, sections 4.2 and A.4).

Shapes: B batch, M slots, d numbers per slot, A sum of all discrete choices, G continuous dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import TranslatorConfig
from flexlam_rl.nn.action_head import NO_ACTION as NO_ACTION
from flexlam_rl.nn.action_head import action_inputs, action_outputs, embed_actions
from flexlam_rl.nn.action_head import action_losses as action_losses
from flexlam_rl.nn.action_head import choose_actions as choose_actions
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.hourglass import Hourglass
from flexlam_rl.nn.patch_embed import Size, frame_size, patch_count, patchify
from flexlam_rl.nn.pretrained import PretrainedModel


class FrameFeatures(nn.Module):
    """Features of the current frame from a small network, for the conditioning ablation (paper, appendix D.1)."""

    def __init__(self, size: Size, channels: int, patch: int = 8, out: int = 64) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch * patch, 32)
        self.out = nn.Linear(32 * patch_count(size, patch, "translator"), out)

    def forward(self, frames: Tensor) -> Tensor:
        """Compute features (B, out) of frames (B, C, H, W)."""
        return self.out(F.gelu(self.embed(patchify(to_unit(frames), self.patch))).flatten(1))


class Translator(PretrainedModel):
    """Hourglass MLP over the flattened null-filled slots and the previous action. It gets no length and no mask,
    because the nulls show them.
    """

    config_class = TranslatorConfig
    compiled_parts = ("mlp",)

    def __init__(self, config: TranslatorConfig) -> None:
        super().__init__()
        self.config = config
        inputs = config.slots * config.code_dim
        seen = config.conditioning.split("+")
        self.sees_previous = "action" in seen
        inputs += action_inputs(config.actions) if self.sees_previous else 0
        self.frame = FrameFeatures(frame_size(config), config.channels, config.frame_patch) if "frame" in seen else None
        inputs += 64 if self.frame else 0
        self.mlp = Hourglass(inputs, action_outputs(config.actions), config.depth, config.hidden, config.wide)

    def forward(self, slots: Tensor, previous: Tensor, obs: Tensor | None = None) -> Tensor:
        """Predict outputs (B, A + G) from null-filled `slots` (B, M, d), `previous` actions (B, dims) and, if the model
        is conditioned on it, the frame.
        """
        parts = [slots.flatten(1)]
        if self.sees_previous:
            parts.append(embed_actions(previous, self.config.actions))
        if self.frame is not None:
            if obs is None:
                raise ValueError("This translator is conditioned on the current frame; none was given.")
            parts.append(self.frame(obs))
        return self.mlp(torch.cat(parts, dim=-1))
