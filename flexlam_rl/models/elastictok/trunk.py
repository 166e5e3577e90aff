"""Blocks of frames as tokens, and the transformer over them that encoder, decoder and regressor share.

Shapes: B clips, T frames, C H W frame, n blocks of N tokens, L = n N tokens, P numbers per token, D width.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.elastictok.config import ElasticTokConfig
from flexlam_rl.nn.attention import Blocks
from flexlam_rl.nn.frames import check_frames, to_unit
from flexlam_rl.nn.patch_embed import frame_size, patchify, unpatchify
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.transformer import CausalTransformer


def check_clips(frames: Tensor, config: ElasticTokConfig) -> None:
    """Refuse anything but clips of whole blocks: (B, T, C, H, W), uint8 or float in [-1, 1].

    Raises:
        ValueError: The shape or type differs, or values are outside the range.
    """
    size, block = (config.channels, *frame_size(config)), config.frames
    blocks, rest = divmod(frames.shape[1] if frames.ndim == 5 else 0, block)
    if not 1 <= blocks <= config.blocks or rest:
        shape = f"(B, T, {', '.join(map(str, size))})"
        times = f"{block} frames" if config.blocks == 1 else f"1 to {config.blocks} times {block} frames"
        raise ValueError(f"Clips have shape {tuple(frames.shape)}; expected {shape} with T of {times}.")
    check_frames(frames.flatten(0, 1), config.channels, frame_size(config))


def to_tokens(frames: Tensor, config: ElasticTokConfig) -> Tensor:
    """Cut clips (B, T, C, H, W) into patches (B, L, P) in [-1, 1], frame by frame and row by row."""
    steps = frames.unflatten(1, (-1, config.patch_time)).flatten(2, 3)
    return patchify(to_unit(steps.flatten(0, 1)), config.patch).unflatten(0, steps.shape[:2]).flatten(1, 2)


def to_clips(tokens: Tensor, config: ElasticTokConfig) -> Tensor:
    """Join patches (B, L, P) to clips (B, T, C, H, W); the inverse of `to_tokens`."""
    each = config.tokens * config.patch_time // config.frames
    steps = tokens.unflatten(1, (-1, each))
    pictures = unpatchify(steps.flatten(0, 1), config.patch, config.patch_time * config.channels, *frame_size(config))
    return pictures.unflatten(0, steps.shape[:2]).unflatten(2, (config.patch_time, config.channels)).flatten(1, 2)


def numbers_per_token(config: ElasticTokConfig) -> int:
    """P, the number of pixel values in a token's patch."""
    return config.patch_time * config.channels * config.patch**2


class Trunk(nn.Module):
    """Transformer in which a token sees its own block and earlier ones (section 4.2).

    No parameter depends on the number of blocks, so a model of one block can continue with several.

    Args:
        inputs: Numbers per token.
        config: Configuration with the sizes.
    """

    def __init__(self, inputs: int, config: ElasticTokConfig) -> None:
        super().__init__()
        self.inward = nn.Linear(inputs, config.width)
        self.tokens, self.width = config.tokens, config.width
        # for a token's step, row and column in its block
        self.positions = nn.ParameterList(nn.Parameter(0.02 * torch.randn(n, config.width)) for n in config.grid)
        self.transformer = CausalTransformer(config.width, config.depth, config.heads, config.hidden, config.norm_eps)
        self.heads, self.theta = config.heads, config.rope_theta

    def embed(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Embed tokens (B, L, inputs) as (B, L, D), with their places in the block, plus `added` (B, L, D)."""
        time, row, column = self.positions
        place = (time[:, None, None] + row[:, None] + column).flatten(0, 2)
        x = (self.inward(x).unflatten(1, (-1, self.tokens)) + place).flatten(1, 2)
        return x if added is None else x + added

    def places(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Rotary positions (count, hd) of `count` tokens from `first` on."""
        positions = torch.arange(first, first + count, device=self.inward.weight.device)
        return rotary(positions, self.width // self.heads, self.theta)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Compute hidden states (B, L, D) of tokens (B, L, inputs)."""
        cos, sin = self.places(0, x.shape[1])
        return self.transformer(self.embed(x, added), cos, sin, Blocks(self.tokens))
