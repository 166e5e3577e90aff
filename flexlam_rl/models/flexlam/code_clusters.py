"""Kinds of transitions, found in a LAM's codes without any action, for labels that are drawn diversely.

A few labels drawn uniformly hold few or no examples of a rare action. Transitions that look alike to the LAM are close
to one another in the slots of a short prefix, which holds what changes most. So k-means over these slots finds kinds
of transitions, and rare transitions get kinds of their own.
"""

import warnings
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2, vq

from flexlam_rl.datasets import Rollouts
from flexlam_rl.datasets.segments import Items
from flexlam_rl.models.flexlam.cached_codes import stored_codes
from flexlam_rl.models.slot_model import SlotModel

CLUSTERS = 64
"""Largest number of kinds."""
PREFIX = 4
"""First slots that are compared."""
SAMPLE = 20_000
"""Transitions that the centers are computed from."""


def code_clusters(
    lam: SlotModel, digest: str, rollouts: Rollouts, seed: int = 0, device: str = "cpu"
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Give the kind of every transition.

    Args:
        lam: A LAM with codes.
        digest: Digest of its configuration and weights.
        rollouts: The rollouts; transitions that have not been encoded yet are encoded.
        seed: Seed of the sample and of the first centers.
        device: Device of the encoding.

    Returns:
        int64 (rows,) per store, the kind of the transition that begins at each row; and how the kinds were made.

    Raises:
        ValueError: The LAM's latent actions are vectors, or there are no transitions.
    """
    if lam.latent.codes is None:
        raise ValueError("diverse labels are drawn over codes, and the LAM's latent actions are vectors.")
    codes = stored_codes(lam, digest, rollouts, device)
    items = [Items(store.segments, 2) for store in rollouts.stores]
    sizes = np.array([len(part) for part in items])
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(int(sizes.sum()))[:SAMPLE])
    number = np.searchsorted(np.cumsum(sizes), chosen, side="right")
    first = np.cumsum(sizes) - sizes
    seen = np.concatenate(
        [_vectors(lam, codes[i][part.rows(chosen[number == i] - first[i])]) for i, part in enumerate(items)]
    )
    count = min(CLUSTERS, len(np.unique(seen, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warns about centers without transitions; there is one kind fewer then
        centers, _ = kmeans2(seen, count, minit="++", seed=generator)
    about = {"lam": digest, "clusters": count, "prefix": min(PREFIX, lam.config.slots)}
    return [_nearest(lam, part, centers) for part in codes], about


def _nearest(lam: SlotModel, codes: np.ndarray, centers: np.ndarray) -> np.ndarray:
    parts = [vq(_vectors(lam, codes[i : i + SAMPLE]), centers)[0] for i in range(0, len(codes), SAMPLE)]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


@torch.no_grad()
def _vectors(lam: SlotModel, codes: np.ndarray) -> np.ndarray:
    """Vectors of the first slots, concatenated, float64 (N, PREFIX * d)."""
    kept = torch.from_numpy(codes[:, :PREFIX].astype(np.int64)).to(lam.null.device)
    return lam.embed(kept).flatten(1).double().cpu().numpy()
