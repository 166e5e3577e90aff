"""Signs that features or motion have collapsed: figures on held-out transitions, and what they mean.

Shapes: B transitions, L levels, N patches, D width, S motion tokens, m numbers per motion token.
"""

import torch
from torch import Tensor

FEW_RANKS = 2.0
"""Effective dimensions of features below which they have collapsed."""
LITTLE_SPREAD = 0.1
"""Share of the features' size that must differ between pictures."""
NO_USE = 1.02
"""Errors with another transition's motion must be larger by this factor."""


def effective_rank(vectors: Tensor) -> Tensor:
    """How many dimensions vectors (n, D) fill: the exponential of the entropy of their variances along principal axes,
    1 to D.
    """
    values = torch.linalg.svdvals((vectors - vectors.mean(0)).double()).square()
    shares = values / values.sum().clamp_min(1e-30)
    return (-(shares * shares.clamp_min(1e-30).log()).sum()).exp()


def distances(a: Tensor, b: Tensor) -> Tensor:
    """2 - 2 cos of states (B, L, N, D), averaged over patches: (B, L), from 0 to 4."""
    return (2 - 2 * torch.cosine_similarity(a, b, dim=-1)).mean(-1)


def collapse_figures(now: Tensor, after: Tensor, predicted: Tensor, other: Tensor, motion: Tensor) -> dict[str, float]:
    """Measure.

    Args:
        now, after: States of held-out transitions, (B, L, N, D).
        predicted: `after`, from `now` and its own motion.
        other: The same from another transition's motion.
        motion: (B, L, S, m).

    Returns:
        Per level i, lowest first: "error_i", the distance of `predicted` to `after`; "explained_i", the share of the
        distance of `now` to `after` that it leaves out; "swapped_i", the error of `other` as a multiple of it;
        "spread_i", how much of the features' size differs between pictures; "rank_i", dimensions that they fill, and
        "motion_rank_i".
    """
    figures: dict[str, float] = {}
    error, copied, swapped = (distances(x, after).mean(0) for x in (predicted, now, other))
    for i in range(now.shape[1]):
        features, own = after[:, i], motion[:, i]
        figures[f"error_{i}"] = float(error[i])
        figures[f"explained_{i}"] = float(1 - error[i] / copied[i].clamp_min(1e-12))
        figures[f"swapped_{i}"] = float(swapped[i] / error[i].clamp_min(1e-12))
        figures[f"spread_{i}"] = float((features - features.mean(0)).square().mean().sqrt())
        figures[f"rank_{i}"] = float(effective_rank(features.flatten(0, 1)))
        figures[f"motion_rank_{i}"] = float(effective_rank(own.flatten(1)))
    return figures


def signs_of_collapse(figures: dict[str, float]) -> list[str]:
    """Sentences about what has collapsed, none where nothing has.

    Args:
        figures: From `collapse_figures`.
    """
    found = []
    for i in range(sum(name.startswith("error_") for name in figures)):
        spread, rank, explained, swapped = (figures[f"{n}_{i}"] for n in ("spread", "rank", "explained", "swapped"))
        if spread < LITTLE_SPREAD or rank < FEW_RANKS:
            found.append(
                f"Features of level {i} hardly differ between pictures (spread {spread:.3f}, rank {rank:.1f})."
            )
        if explained <= 0:
            found.append(f"Level {i} predicts no better than the current state does (explained {explained:.3f}).")
        if swapped < NO_USE:
            found.append(f"Level {i} does not use its motion (error with another's: {swapped:.3f} times its own).")
    return found
