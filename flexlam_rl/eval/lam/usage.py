"""Figures of how much of a bottleneck is used.

Shapes: B transitions, M slots, d numbers per slot, V codes.
"""

from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.slot_model import SlotModel

FLAT = 0.01
"""Share of the largest standard deviation below which a number carries nothing; so does one below `LEAST_SPREAD`."""
LEAST_SPREAD = 1e-4


def usage_of(lam: SlotModel, latents: Tensor) -> dict[str, Any]:
    """Measure how a model's latents, codes (B, M) or vectors (B, M, d), are used: `code_usage` or `number_usage`."""
    if lam.latent.codes is None:
        return number_usage(latents)
    return code_usage(latents, lam.latent.codes, lam.quantizer.levels)


def code_usage(codes: Tensor, count: int, levels: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Measure how codes are used.

    Args:
        codes: Codes, int64 (B, M).
        count: Number of codes, V.
        levels: Number of levels of each digit of a code; None where codes have no digits.

    Returns:
        "perplexity" and "used", the number of codes, of each slot; "unused_share", the share of all codes that no slot
        uses, and "unused_share_if_even", the share to expect with even use; and, with levels, "digit_perplexity"
        (M, d), which can be estimated from few transitions even where V is large.
    """
    shares = torch.stack([torch.bincount(slot, minlength=count) for slot in codes.T]).double() / len(codes)
    used = shares > 0
    figures: dict[str, Any] = {
        "perplexity": [_perplexity(slot) for slot in shares],
        "used": used.sum(-1).tolist(),
        "unused_share": float((~used.any(0)).double().mean()),
        # the share of codes that do not occur in so few transitions even with even use
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
    """Measure how the numbers of vectors (B, M, d) are used.

    Returns:
        "spread" (M, d), their standard deviations; "flat" (M, d), whether they carry nothing; and "effective", the
        effective number of directions that share the variance of all M d numbers (the participation ratio of their
        covariance).
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
