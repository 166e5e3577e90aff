"""The 3D ResNet through which a prior sees frames (dissertation, section 2.3).

Shapes: B clips, T frames, C H W frame, N places, D width.
"""

import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Number of blocks in each of the four stages, by the number of convolutions."""


class _Block(nn.Module):
    def __init__(self, channels: int, width: int, step: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, width, 3, (1, step, step), 1, bias=False)
        self.second = nn.Conv3d(width, width, 3, 1, 1, bias=False)
        # norms of single examples; batch norms would let the clips of a batch see each other
        self.norm1, self.norm2 = nn.GroupNorm(1, width), nn.GroupNorm(1, width)
        self.shortcut = nn.Conv3d(channels, width, 1, (1, step, step), bias=False) if channels != width else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet3D(nn.Module):
    """Turns frames into one vector for each place of a grid with an eighth of their size.

    Args:
        channels: Channels of the frames.
        depth: Number of convolutions: 10, 18 or 34.
        units: Channels of the last stage; each earlier stage has half of those of the next.
        width: D.
    """

    def __init__(self, channels: int, depth: int, units: int, width: int) -> None:
        super().__init__()
        widths = [max(1, units // 8), max(1, units // 4), max(1, units // 2), units]
        self.stem = nn.Sequential(
            nn.Conv3d(channels, widths[0], (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), nn.GroupNorm(1, widths[0])
        )
        blocks, before = [], widths[0]
        for part, (count, after) in enumerate(zip(LAYERS[depth], widths, strict=True)):
            for i in range(count):
                blocks.append(_Block(before, after, 2 if part in (1, 2) and i == 0 else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(units, width)

    def forward(self, frames: Tensor) -> Tensor:
        """Compute vectors (B, N, D) from frames (B, T, C, H, W) in [-0.5, 0.5]."""
        x = self.blocks(F.relu(self.stem(frames.movedim(1, 2))))
        return self.out(x.flatten(2).transpose(1, 2))
