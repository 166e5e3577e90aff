"""Patches of pictures, cut in the fastest way that each kind of picture allows."""

import pytest
import torch
from torch import Tensor

from flexlam_rl.nn.patch_embed import patchify, unpatchify


def by_hand(images: Tensor, patch: int) -> Tensor:
    """Patches, row by row, from single slices."""
    rows, columns = images.shape[2] // patch, images.shape[3] // patch
    cut = [
        images[:, :, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch].flatten(1)
        for r in range(rows)
        for c in range(columns)
    ]
    return torch.stack(cut, 1)


@pytest.mark.parametrize("kind", [torch.uint8, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("patch", [1, 2, 3, 4, 8])
def test_patches_are_slices_of_the_picture(kind, patch):
    images = torch.randint(0, 256, (2, 3, 3 * patch, 5 * patch), dtype=torch.uint8).to(kind)
    found = patchify(images, patch)
    assert found.dtype == kind and torch.equal(found, by_hand(images, patch))
    assert torch.equal(unpatchify(found, patch, *images.shape[1:]), images)


@pytest.mark.parametrize("patch", [2, 4])
def test_pictures_may_lie_in_memory_as_they_like(patch):
    for images in (
        torch.randint(0, 256, (2, 16, 24, 3), dtype=torch.uint8).movedim(-1, 1),
        torch.randn(2, 6, 16, 24)[:, 1:4, :, :8],
        torch.randn(1, 3, 16, 24).expand(2, -1, -1, -1),
        torch.randn(3 * 16 * 24 + 1)[1:].view(1, 3, 16, 24),
    ):
        assert torch.equal(patchify(images, patch), by_hand(images, patch))


def test_gradients_come_back_to_the_picture():
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    weights = torch.randn(2, 4, 48)
    (patchify(images, 4) * weights).sum().backward()
    assert torch.equal(images.grad, unpatchify(weights, 4, 3, 8, 8))
