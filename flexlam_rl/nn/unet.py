"""A small U-Net from pictures and slots to the next picture: convolutions around a transformer that sees the slots.

The coarse levels have few positions and the fine levels few channels, so a step costs a third of that of a transformer
over patches, and the network needs a fraction of its steps on a CPU (docs/lam.md). Shapes: B batch, C H W picture, I
input channels, h w cells, D width, M slots, d numbers per slot.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.conv_stem import cells, halved
from flexlam_rl.nn.dit import ModulatedBlock
from flexlam_rl.nn.moved_picture import MovedPicture
from flexlam_rl.nn.patch_embed import Size, patch_count

GROUPS = 8
"""Groups of each group normalization."""
LEAST_WIDTH = 4 * GROUPS


class ModulatedConvolutions(nn.Module):
    """Two convolutions with a residual, scaled and shifted by a condition; at first, the identity."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.modulation = nn.Linear(condition, 2 * channels)
        self.inner, self.outer = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        for layer in (self.modulation, self.outer):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Run x (B, channels, h, w) under a condition (B, D), to which the activation is already applied."""
        shift, scale = self.modulation(condition)[..., None, None].chunk(2, dim=1)
        h = self.inner(F.silu(self.norm(x) * (1 + scale) + shift))
        return x + self.outer(F.silu(h))


class MotionUNet(nn.Module):
    """Predicts the next picture from pictures and slots, by moving the pixels of the last picture (`MovedPicture`).

    Args:
        size: H and W.
        inputs: I.
        channels: C.
        cell: Pixels along a side of the cells that the first layer sees.
        width: D, the width of the transformer; the convolutions have a quarter and half of it.
        depth, heads, ffn: Sizes of the transformer, which runs over the slots and a sixteenth as many places as cells.
        slots, slot_dim: M and d.

    Raises:
        ValueError: `width` is not a multiple of 32, or the cells do not divide the pictures.
    """

    def __init__(
        self,
        size: Size,
        inputs: int,
        channels: int,
        cell: int,
        width: int,
        depth: int,
        heads: int,
        ffn: int,
        slots: int,
        slot_dim: int,
    ) -> None:
        super().__init__()
        if width % LEAST_WIDTH:
            raise ValueError(f"width is {width}; a decoder of the kind 'motion' needs a multiple of {LEAST_WIDTH}.")
        patch_count(size, cell, "decoder")
        self.cell, fine, middle = cell, width // 4, width // 2
        self.coarse = halved((size[0] // cell, size[1] // cell), 2)
        self.inward = nn.Linear(inputs * cell**2, fine)
        self.slots = nn.Linear(slots * slot_dim, width)
        self.down = nn.ModuleList([ModulatedConvolutions(fine, width), ModulatedConvolutions(middle, width)])
        self.halve = nn.ModuleList([nn.Conv2d(fine, middle, 3, 2, 1), nn.Conv2d(middle, width, 3, 2, 1)])
        self.position = nn.Parameter(torch.randn(self.coarse[0] * self.coarse[1], width) * 0.02)
        self.slot_embed = nn.Linear(slot_dim, width)
        self.slot_position = nn.Parameter(torch.randn(slots, width) * 0.02)
        self.blocks = nn.ModuleList(ModulatedBlock(width, heads, ffn) for _ in range(depth))
        self.up = nn.ModuleList([nn.Conv2d(width, middle, 1), nn.Conv2d(middle, fine, 1)])
        self.draw = nn.ModuleList([ModulatedConvolutions(middle, width), ModulatedConvolutions(fine, width)])
        self.head = MovedPicture(size, channels, cell, fine, width)

    def forward(self, pictures: Tensor, picture: Tensor, slots: Tensor, condition: Tensor | None = None) -> Tensor:
        """Predict the next picture.

        Args:
            pictures: All pictures that the network sees, (B, I, H, W).
            picture: The picture whose pixels move, (B, C, H, W).
            slots: Null-filled (B, M, d).
            condition: Further input to all convolutions and layers, (B, D).

        Returns:
            The next picture, float32 (B, C, H, W).
        """
        known = self.slots(slots.flatten(1))
        known = F.silu(known if condition is None else known + condition)
        fine = self.down[0](cells(pictures, self.cell, self.inward), known)
        middle = self.down[1](self.halve[0](fine), known)
        x = self.halve[1](middle).flatten(2).transpose(1, 2) + self.position
        places = x.shape[1]
        x = torch.cat([x, self.slot_embed(slots) + self.slot_position], dim=1)
        for block in self.blocks:
            x = block(x, known)
        summary = x.mean(1)
        x = x[:, :places].transpose(1, 2).unflatten(2, self.coarse)
        for up, draw, seen in zip(self.up, self.draw, (middle, fine), strict=True):
            x = draw(seen + F.interpolate(up(x), seen.shape[-2:]), known)
        return self.head(F.silu(x), summary, picture)
