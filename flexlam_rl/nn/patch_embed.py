"""Pictures as patches, and the choice of a patch size that fits a picture.

Shapes: B batch, C H W picture, P patch size, N patches.
"""

from math import gcd, log
from typing import Any

import torch
from torch import Tensor, nn

Size = tuple[int, int]
"""Height and width in pixels."""
USUAL_SIDE = 64
"""Side, in pixels, of the frames that the presets' patches are meant for."""
MOST_PATCHES = 1024
SMALLEST_PATCH = 4


def frame_size(config: Any) -> Size:
    """Height and width of a configuration's frames: `image_size`, and `image_width` if it differs."""
    return config.image_size, getattr(config, "image_width", None) or config.image_size


def frame_fields(size: Size) -> dict[str, Any]:
    """Fields of a configuration that `frame_size` reads; `image_width` is set only if frames are not square."""
    return {"image_size": size[0], "image_width": None if size[0] == size[1] else size[1]}


def patch_count(size: Size, patch: int, owner: str) -> int:
    """Compute N, the number of patches of a picture.

    Args:
        size: H and W.
        patch: P.
        owner: Owner of the patch, for the message ("encoder").

    Raises:
        ValueError: The patch does not divide the picture.
    """
    height, width = size
    if patch < 1 or height % patch or width % patch:
        whole = gcd(height, width)
        fits = [p for p in range(2, whole + 1) if whole % p == 0]
        raise ValueError(
            f"the {owner}'s patch is {patch}, which does not divide frames of {height}x{width} pixels; "
            + (f"expected {', '.join(map(str, fits))}." if fits else "no patch does.")
        )
    return (height // patch) * (width // patch)


def fitting_patch(
    size: Size, usual: int, owner: str, powers: bool = False, most: int | None = None, least: int = SMALLEST_PATCH
) -> int:
    """Choose the patch that divides a picture into about as many patches as the usual one does at 64 x 64 pixels.

    Args:
        size: H and W.
        usual: P at 64 x 64 pixels, which is returned for frames of this size.
        owner: Owner of the patch, for the message.
        powers: Allow only powers of two from 8 on, as stems of convolutions need.
        most: Largest P; None for any.
        least: Smallest P, if `powers` is False.

    Raises:
        ValueError: No patch fits; the sentence says which frames would do.
    """
    height, width = size
    wanted = usual * (height * width) ** 0.5 / USUAL_SIDE
    least = 2 * SMALLEST_PATCH if powers else least
    fits = [
        p
        for p in range(least, min(gcd(height, width), most or height) + 1)
        if height % p == width % p == 0 and (not powers or p & (p - 1) == 0) and height * width // p**2 <= MOST_PATCHES
    ]
    if not fits:
        kind = "power of two" if powers else "patch"
        limit = f" to {most}" if most else ""
        raise ValueError(
            f"frames of {height}x{width} pixels fit no {kind} from {least}{limit} pixels on for the {owner}, with at "
            f"most {MOST_PATCHES} patches; sides that are multiples of 16 do, such as {_near(height)}x{_near(width)}."
        )
    return min(fits, key=lambda p: abs(log(p / wanted)))


def _near(side: int) -> int:
    return max(32, round(side / 16) * 16)


def patchify(images: Tensor, patch: int) -> Tensor:
    """Cut images (B, C, H, W) into patches (B, N, C * P * P), in row-major order of patches."""
    b, c, h, w = images.shape
    whole = None
    if images.device.type == "cpu" and not images.requires_grad and not torch.compiler.is_compiling():
        images = images.contiguous()
        whole = None if images.storage_offset() % patch else _ROWS.get(patch * images.element_size())
    if whole is None:
        x = images.reshape(b, c, h // patch, patch, w // patch, patch).permute(0, 2, 4, 1, 3, 5)
    else:
        # a CPU copies a row of a patch as one number in a quarter of the time
        x = images.view(whole).view(b, c, h // patch, patch, w // patch)
        x = x.permute(0, 2, 4, 1, 3).contiguous().view(images.dtype)
    return x.reshape(b, (h // patch) * (w // patch), c * patch * patch)


_ROWS = {4: torch.int32, 8: torch.int64, 16: torch.complex128}
"""Type of number as large as a row of a patch, by the row's bytes."""


def unpatchify(tokens: Tensor, patch: int, channels: int, height: int, width: int) -> Tensor:
    """Join patches (B, N, C * P * P) to images (B, C, H, W); the inverse of `patchify`."""
    b = tokens.shape[0]
    x = tokens.reshape(b, height // patch, width // patch, channels, patch, patch)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(b, channels, height, width)


class LinearPatches(nn.Linear):
    """One linear map for each patch of a picture.

    Args:
        channels: C.
        width: Width of the tokens.
        patch: P.
    """

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__(channels * patch**2, width)
        self.patch = patch

    def forward(self, images: Tensor) -> Tensor:
        """Embed images (B, C, H, W) as tokens (B, N, width)."""
        return super().forward(patchify(images, self.patch))
