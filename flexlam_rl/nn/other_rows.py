"""Latents that carry no information about their row: those of other rows, and random ones.

Shapes: B rows, `...` any other dimensions; *latents* are codes, int64 (B, M), or vectors (B, M, d).
"""

import torch
from torch import Tensor


def of_other_rows(values: Tensor, generator: torch.Generator) -> Tensor:
    """Permute values (B, ...) at random so that no row keeps its own, if there are at least two rows."""
    order = torch.randperm(len(values), generator=generator, device=generator.device).to(values.device)
    out = torch.empty_like(values)
    # a cycle through a random order
    out[order] = values[order.roll(1)]
    return out


def random_latents(latents: Tensor, codes: int | None, generator: torch.Generator) -> Tensor:
    """Draw latents without meaning: codes drawn uniformly, or vectors whose numbers each come from another row.

    Args:
        latents: The true latents.
        codes: V, the number of codes; None if latents are vectors.
        generator: Random stream of the draw.
    """
    if codes is not None:
        drawn = torch.randint(0, codes, latents.shape, generator=generator, device=generator.device)
        return drawn.to(latents.device)
    numbers = latents.flatten(1)
    return torch.stack([of_other_rows(column, generator) for column in numbers.unbind(1)], 1).view_as(latents)
