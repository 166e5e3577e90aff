"""The retained prefix (paper, section 4.1): the one rule that training, translator and policy share.

Shapes: B... any leading dimensions, M slots, d numbers a slot.
"""

import torch
from torch import Tensor


def sample_prefix_lengths(batch: int, slots: int, generator: torch.Generator) -> Tensor:
    """Draw `batch` prefix lengths from Uniform{0..slots}, both ends included (paper, appendix A.7).

    Args:
        batch: How many lengths.
        slots: M, the number of slots.
        generator: The explicit random stream; it belongs into the checkpoint.

    Returns:
        int64 (B,) in 0..M, on the generator's device.
    """
    return torch.randint(0, slots + 1, (batch,), generator=generator, device=generator.device)


def retained(lengths: Tensor, slots: int) -> Tensor:
    """Which slots a prefix keeps: bool (B..., M), true where `arange(M) < k`.

    Args:
        lengths: int (B...) in 0..M.
        slots: M.
    """
    return torch.arange(slots, device=lengths.device) < lengths.unsqueeze(-1)


def null_fill(slots: Tensor, lengths: Tensor, null: Tensor) -> Tensor:
    """Replace the slots after each prefix by the shared learned null.

    Nothing of a replaced slot reaches the result, whatever it holds (NaN included), and no gradient flows back to it.

    Args:
        slots: (B..., M, d).
        lengths: int (B...) in 0..M.
        null: (d,).

    Returns:
        (B..., M, d), equal to `slots` where `arange(M) < k` and to `null` elsewhere.
    """
    keep = retained(lengths, slots.shape[-2]).unsqueeze(-1)
    return torch.where(keep, slots, null.to(slots.dtype))
