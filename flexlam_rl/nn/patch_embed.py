"""Pictures as patches.

Shapes: B batch, C H W picture, P patch size, N patches.
"""

from torch import Tensor


def patch_count(image_size: int, patch: int, owner: str) -> int:
    """N, the patches of a square picture.

    Args:
        image_size: H and W.
        patch: P.
        owner: Whose patch it is, for the message ("encoder").

    Raises:
        ValueError: The patches do not fill the picture.
    """
    if image_size % patch:
        raise ValueError(f"image size {image_size} is not a multiple of the {owner}'s patch {patch}.")
    return (image_size // patch) ** 2


def patchify(images: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) to (B, N, C * P * P), rows of patches first."""
    b, c, h, w = images.shape
    x = images.reshape(b, c, h // patch, patch, w // patch, patch)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(b, (h // patch) * (w // patch), c * patch * patch)


def unpatchify(tokens: Tensor, patch: int, channels: int, height: int, width: int) -> Tensor:
    """(B, N, C * P * P) to (B, C, H, W); the inverse of `patchify`."""
    b = tokens.shape[0]
    x = tokens.reshape(b, height // patch, width // patch, channels, patch, patch)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(b, channels, height, width)
