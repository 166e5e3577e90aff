"""How much of a bottleneck is in use.

Shapes: B transitions, M slots, d numbers per slot, V codes.
"""

from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.slot_model import SlotModel

FLAT = 0.01
"""Share of the largest standard deviation below which a number tells nothing; so does one below `LEAST_SPREAD`."""
LEAST_SPREAD = 1e-4


def usage_of(lam: SlotModel, latents: Tensor) -> dict[str, Any]:
    """Figures of a model's latents, codes (B, M) or vectors (B, M, d): see `code_usage` and `number_usage`."""
    if lam.latent.codes is None:
        return number_usage(latents)
    return code_usage(latents, lam.latent.codes, lam.quantizer.levels)


def code_usage(codes: Tensor, count: int, levels: tuple[int, ...] | None = None) -> dict[str, Any]:
    """How the codes (B, M) are used: perplexity and number of codes of each slot, share of all codes that no slot used.

    `digit_perplexity` (M, d), where a code has levels, is that of its single numbers, which B transitions tell well
    even where V is large.

    Args:
        codes: int64 (B, M).
        count: V.
        levels: Of each number of a code.
    """
    shares = torch.stack([torch.bincount(slot, minlength=count) for slot in codes.T]).double() / len(codes)
    used = shares > 0
    figures: dict[str, Any] = {
        "perplexity": [_perplexity(slot) for slot in shares],
        "used": used.sum(-1).tolist(),
        "unused_share": float((~used.any(0)).double().mean()),
        # even use would leave so many codes unseen in so few transitions
        "unused_share_if_even": float((1 - 1 / count) ** codes.numel()),
    }
    if levels is not None:
        digits, rest = [], codes
        for level in levels:
            digit, rest = rest % level, rest // level
            digits.append(
                [_perplexity(torch.bincount(slot, minlength=level).double() / len(codes)) for slot in digit.T]
            )
        figures["digit_perplexity"] = torch.tensor(digits).T.tolist()
    return figures


def number_usage(vectors: Tensor) -> dict[str, Any]:
    """How the numbers of vectors (B, M, d) are used.

    Returns:
        "spread" (M, d), their standard deviations; "flat" (M, d), which of them tell nothing; "effective", how many
        directions share the variance of all M d numbers evenly (the participation ratio of their covariance).
    """
    numbers = vectors.double()
    spread = numbers.std(0)
    flat = spread < max(LEAST_SPREAD, FLAT * float(spread.max()))
    variances = torch.linalg.svdvals((numbers - numbers.mean(0)).flatten(1)).square()
    return {
        "spread": spread.tolist(),
        "flat": flat.tolist(),
        "effective": float(variances.sum().square() / variances.square().sum().clamp_min(1e-300)),
    }


def _perplexity(shares: Tensor) -> float:
    return float((-(shares * shares.clamp_min(1e-12).log()).sum()).exp())
