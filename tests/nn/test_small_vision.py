"""What the small convolutional network sees: with fine kernels also what is three pixels large."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.small_vision import convolutions

GLYPHS = torch.tensor([[[1, 1, 1], [0, 1, 0], [0, 1, 0]], [[1, 0, 0], [1, 0, 0], [1, 1, 1]]])
SIDE = 36


def pictures(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """White pictures with a magenta T or L anywhere, and which it is."""
    frames, which = torch.full((count, 3, SIDE, SIDE), 0.5), torch.randint(0, 2, (count,), generator=generator)
    y, x = torch.randint(0, SIDE - 3, (2, count, 1, 1), generator=generator)
    places = y + torch.arange(3)[:, None], x + torch.arange(3)
    frames[torch.arange(count)[:, None, None], 1, *places] -= GLYPHS[which]
    return frames, which


def accuracy(vision: str, updates: int) -> float:
    torch.manual_seed(0)
    eye, size = convolutions(3, 8, SIDE, SIDE, vision)
    net, generator = nn.Sequential(eye, nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 2)), torch.Generator()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(updates):
        frames, which = pictures(64, generator)
        optimiser.zero_grad()
        F.cross_entropy(net(frames), which).backward()
        optimiser.step()
    frames, which = pictures(500, generator)
    with torch.no_grad():
        return float((net(frames).argmax(1) == which).float().mean())


def test_fine_kernels_tell_letters_of_three_pixels_apart_and_coarse_ones_do_not():
    assert accuracy("fine", 800) > 0.95
    assert accuracy("coarse", 800) < 0.7


def test_the_number_of_features_is_that_of_the_layers():
    for vision in ("coarse", "fine"):
        for height, width in ((36, 36), (64, 64), (72, 96), (37, 51)):
            eye, size = convolutions(3, 4, height, width, vision)
            assert eye(torch.zeros(2, 3, height, width)).shape == (2, size)
