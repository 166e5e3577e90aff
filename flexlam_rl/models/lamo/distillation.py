"""Loss that keeps features from collapsing: self-distillation of a picture's views (DINO; Caron et al., 2021).

Shapes: B pictures, C H W picture, D width, V prototypes.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

STUDENT_TEMPERATURE, TEACHER_TEMPERATURE = 0.1, 0.04
CENTER_MOMENTUM = 0.9
SMALLEST = 0.5
"""Smallest side of a view, as a share of the picture's."""


class PrototypeHead(nn.Module):
    """Scores of prototypes by direction: an MLP, normalization to length 1, and a linear layer."""

    def __init__(self, width: int, hidden: int, prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.prototypes = nn.Linear(width, prototypes, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute cosines (B, V) of pictures' features (B, D) with the prototypes."""
        return F.linear(F.normalize(self.mlp(pictures), dim=-1), F.normalize(self.prototypes.weight, dim=-1))


class Center(nn.Module):
    """Running mean of the teacher's scores; subtracting it keeps one prototype from winning everywhere."""

    def __init__(self, prototypes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, prototypes))
        self.mean: Tensor

    @torch.no_grad()
    def update(self, scores: Tensor) -> None:
        """Move toward the mean of scores (B, V) over all processes."""
        batch = scores.float().mean(0, keepdim=True)
        if dist.is_initialized():
            dist.all_reduce(batch)
            batch /= dist.get_world_size()
        self.mean.lerp_(batch, 1 - CENTER_MOMENTUM)


def targets(scores: Tensor, center: Tensor) -> Tensor:
    """Compute the teacher's centered and sharpened probabilities (B, V)."""
    return ((scores.float() - center) / TEACHER_TEMPERATURE).softmax(-1)


def cross_entropy(scores: Tensor, wanted: Tensor) -> Tensor:
    """Compute the mean cross-entropy of the student's scores (B, V) to the teacher's probabilities (B, V)."""
    return -(wanted * (scores.float() / STUDENT_TEMPERATURE).log_softmax(-1)).sum(-1).mean()


def random_view(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Crop a random part of each picture (B, C, H, W), resize it to the picture's size, and mirror half of them."""
    device, rows = generator.device, len(pictures)
    side, left, top, coin = torch.rand(4, rows, generator=generator, device=device, dtype=torch.float32)
    side = SMALLEST + (1 - SMALLEST) * side
    mirrored = torch.where(coin < 0.5, -side, side)
    room = 1 - side
    zero = torch.zeros_like(side)
    across = torch.stack([mirrored, zero, room * (2 * left - 1)], -1)
    down = torch.stack([zero, side, room * (2 * top - 1)], -1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
