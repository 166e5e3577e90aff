"""A picture made from another one: parts of it that move in different ways, plus a change of pixels.

Most of a frame was already visible in the frame before, at another place: a turn of the camera moves everything but the
overlaid display, and objects move by themselves. A network that writes every pixel anew draws ghosts at both places;
this one predicts where to read (spatial transformers, Jaderberg et al., 2015; several motions under soft masks, Finn et
al., 2016). Shapes: B batch, C H W picture, D features, S numbers of a summary of the transition, h w cells, G motions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.patch_embed import Size, unpatchify

STARTS: tuple[tuple[float, float], ...] = ((0.3, 0.0), (-0.3, 0.0), (0.0, 0.1), (0.0, -0.1))
"""Initial shift of each motion, in half widths and half heights. The gradient of a moved picture sees only neighboring
pixels, so a motion of many pixels could not be learned from zero.
"""
STILL = 2.0
"""Initial logit of not moving, relative to that of each motion."""


class MovedPicture(nn.Module):
    """Head on the features of a picture's cells.

    Args:
        size: H and W.
        channels: C.
        cell: Pixels along a side of a cell.
        width: D.
        summary: S.

    Raises:
        ValueError: There are fewer than two rows or columns of cells.
    """

    identity: Tensor
    places: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, size: Size, channels: int, cell: int, width: int, summary: int) -> None:
        super().__init__()
        self.size, self.channels, self.cell = size, channels, cell
        h, w = size[0] // cell, size[1] // cell
        if min(h, w) < 2:
            raise ValueError(
                f"cells of {cell} pixels leave {h}x{w} of them in {size[0]}x{size[1]}; expected 2 or more."
            )
        motions = len(STARTS)
        self.pixels = nn.Linear(width, (channels + 1 + motions) * cell**2)
        self.field = nn.Linear(width, 2 * motions)
        self.whole = nn.Linear(summary, 7 * motions + 1)
        for layer in (self.pixels, self.field, self.whole):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.whole.bias[0] = STILL
            self.whole.bias[1 + motions :].view(motions, 2, 3)[..., 2] = torch.tensor(STARTS).view(motions, 2)
        y, x = (torch.linspace(1 / n - 1, 1 - 1 / n, n) for n in (h, w))
        places = torch.stack([x.expand(h, w), y[:, None].expand(h, w), torch.ones(h, w)])
        self.register_buffer("identity", torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(motions))
        self.register_buffer("places", places.flatten(1))
        self.register_buffer("rows", _enlarging(h, size[0]))
        self.register_buffer("columns", _enlarging(w, size[1]))

    def forward(self, features: Tensor, summary: Tensor, picture: Tensor) -> Tensor:
        """Make the next picture, float32 (B, C, H, W), from features (B, D, h, w), summary (B, S) and picture (B, C, H,
        W).
        """
        cells, motions = features.permute(0, 2, 3, 1), len(STARTS)
        pixels = unpatchify(self.pixels(cells).flatten(1, 2), self.cell, self.channels + 1 + motions, *self.size)
        # positions need fractions of a pixel, which bfloat16 cannot represent
        with torch.autocast(features.device.type, enabled=False):
            likely, affine = self.whole(summary.float()).split([1 + motions, 6 * motions], dim=1)
            change, masks = pixels.float().split([self.channels, 1 + motions], dim=1)
            still, *moved = (masks + likely[..., None, None]).softmax(1).split(1, dim=1)
            out = torch.addcmul(change, still, picture)
            for mask, field in zip(moved, self._fields(cells.float(), affine), strict=True):
                there = F.grid_sample(picture, field, mode="bilinear", padding_mode="border", align_corners=False)
                out = torch.addcmul(out, mask, there)
        return out

    def _fields(self, cells: Tensor, affine: Tensor) -> tuple[Tensor, ...]:
        """Positions that each motion reads, (B, H, W, 2) in [-1, 1] each: one affine map plus an offset per cell."""
        b, h, w, _ = cells.shape
        whole = (affine + self.identity).view(b, 2 * len(STARTS), 3) @ self.places
        field = self.field(cells).permute(0, 3, 1, 2) + whole.view(b, 2 * len(STARTS), h, w)
        field = self.rows @ field @ self.columns.T
        return field.unflatten(1, (len(STARTS), 2)).permute(1, 0, 3, 4, 2).unbind()


def _enlarging(small: int, large: int) -> Tensor:
    """Matrix (large, small) that interpolates linearly between the centers of cells, and extrapolates beyond them."""
    place = (torch.arange(large) + 0.5) * small / large - 0.5
    low = place.floor().clamp(0, small - 2).long()
    matrix = torch.zeros(large, small)
    pixels = torch.arange(large)
    matrix[pixels, low] = 1.0 - (place - low)
    matrix[pixels, low + 1] = place - low
    return matrix
