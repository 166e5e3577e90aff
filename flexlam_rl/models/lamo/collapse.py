"""Signs of collapsed features or motion: figures on held-out transitions, and what they mean.

Shapes: B transitions, L levels, N patches, D width, S motion tokens, m numbers per motion token.
"""

import torch
from torch import Tensor

FEW_RANKS = 2.0
"""Number of effective dimensions below which features have collapsed."""
LITTLE_SPREAD = 0.1
"""Least share of the features' size that must differ between pictures."""
NO_USE = 1.02
"""Least factor by which errors must grow with another transition's motion."""


def effective_rank(vectors: Tensor) -> Tensor:
    """Effective number of dimensions of vectors (n, D), 1 to D: the exponential of the entropy of their variances along
    the principal axes.
    """
    values = torch.linalg.svdvals((vectors - vectors.mean(0)).double()).square()
    shares = values / values.sum().clamp_min(1e-30)
    return (-(shares * shares.clamp_min(1e-30).log()).sum()).exp()


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Compute 2 - 2 cos between states (B, L, N, D), averaged over patches: (B, L), from 0 to 4."""
    return (2 - 2 * torch.cosine_similarity(a, b, dim=-1)).mean(-1)


def collapse_figures(now: Tensor, after: Tensor, predicted: Tensor, other: Tensor, motion: Tensor) -> dict[str, float]:
    """Compute figures that show collapse.

    Args:
        now, after: States of held-out transitions, (B, L, N, D).
        predicted: Prediction of `after` from `now` and the transition's own motion.
        other: Prediction of `after` from `now` and another transition's motion.
        motion: Motion of the transitions, (B, L, S, m).

    Returns:
        Per level i, lowest first: "error_i", the distance from `predicted` to `after`; "explained_i", the share of the
            distance from `now` to `after` that the prediction removes; "swapped_i", the error of `other` as a multiple
            of "error_i"; "spread_i", how much of the features' size differs between pictures; "rank_i" and
            "motion_rank_i", the effective dimensions of features and of motion.
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
    """Say in sentences what has collapsed; the list is empty if nothing has.

    Args:
        figures: Result of `collapse_figures`.
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
