"""A frame as patch tokens through a few convolutions, instead of one linear map of each patch.

"Early Convolutions Help Transformers See Better" (Xiao et al., 2021): small transformers learn to see in fewer steps this way. The
paper's sequence model embeds patches linearly; this is for the small presets. See docs/sequence.md for what it changes.
"""

from torch import Tensor, nn

NARROWEST = 32


class ConvStem(nn.Module):
    """Halves the picture until one position stands for a patch; channels double up to `width`.

    A token sees almost a patch's width to each side of its patch's first pixel.

    Args:
        channels: Of the picture.
        width: D, of a token.
        patch: Pixels along a side of a patch, a power of two.

    Raises:
        ValueError: `patch` is no power of two above 1.
    """

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        halvings = patch.bit_length() - 1
        if patch < 2 or patch != 1 << halvings:
            raise ValueError(f"patch is {patch}; a convolutional stem needs a power of two above 1.")
        layers: list[nn.Module] = []
        for i in range(halvings):
            wide = width if i == halvings - 1 else min(width, NARROWEST << i)
            layers += [nn.Conv2d(channels, wide, 3, 2, 1), nn.GELU()]
            channels = wide
        self.convolutions = nn.Sequential(*layers[:-1])

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] to tokens (B, N, D), row by row as `patchify` orders patches."""
        out: Tensor = self.convolutions(images)
        return out.flatten(2).transpose(1, 2)
