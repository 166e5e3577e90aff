"""k* of all transitions of a data set, searched once and stored beside the rollouts.

Legend: `N` rows of a store, `B` transitions of a batch, `M` slots, `C H W` a frame.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts
from flexlam_rl.datasets.derived import derived_rows, has_derived_rows
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.models.flexlam.adaptive.choosing import choose
from flexlam_rl.models.flexlam.adaptive.objectives import Objective, objective_named, own_previous
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.prefix_search import How
from flexlam_rl.utils.files import no_progress
from flexlam_rl.utils.numbers import real

KIND = "budgets"
"""Folder beside a store's columns."""
COLUMNS = ("k", "met", "evaluations")
"""Columns of a row: k* of the transition to the next row (0 if there is none), whether its cost is low enough, and
the number of costs that the search evaluated.
"""
BATCH = 256


@dataclass(frozen=True)
class Searched:
    """Identity of a search for k*, by which its stored result is found again.

    Attributes:
        lam: Digest of the latent action model.
        objective: Name of the objective.
        tolerance: The largest cost that is good enough.
        translator: Digest of the translator, if the objective uses one.
        how: The kind of search.
    """

    lam: str
    objective: str
    tolerance: float
    translator: str | None = None
    how: How = "full"

    @property
    def digest(self) -> str:
        """SHA-256 of all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def searched(lam: str, objective: str, tolerance: float, translator: str | None, how: How = "full") -> Searched:
    """Make the identity of a search; the translator's digest counts only for objectives that use one."""
    return Searched(lam, objective, real(tolerance, "tolerance"), translator if objective == "agreement" else None, how)


def stored_budgets(
    lam: SlotModel,
    what: Searched,
    rollouts: Rollouts,
    translator: Translator | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] = no_progress,
) -> list[np.ndarray]:
    """Give k* of all transitions; those of stores that lack them are searched and stored.

    Args:
        lam: The latent action model.
        what: Identity of the search.
        rollouts: The rollouts; k* are stored beside each store, in its folder `budgets`.
        translator: The translator, for the objective "agreement".
        device: Device of the search.
        progress: Called with the number of rows that are done in the current store, and the number of its rows.

    Returns:
        Per store (N, 3) int16, see `COLUMNS`.

    Raises:
        ValueError: The model cannot give the objective, or has one budget only.
        DamagedData: Stored k* do not match their checksums.
        DiskFull: There is no room to store them.
    """
    objective = objective_named(what.objective, translator)
    lam = lam.to(device)
    if translator is not None:
        translator = translator.to(device)

    def values(store: RolloutStore, first: int, last: int) -> np.ndarray:
        out = np.zeros((last - first, len(COLUMNS)), np.int16)
        for low in range(first, last, BATCH):
            progress(low, store.rows)
            high = min(low + BATCH, last)
            # the transition before the first one gives its previous action
            from_, to = max(low - 1, 0), min(high + 1, store.rows)
            frames = torch.from_numpy(store.frames.read(from_, to)).to(device).movedim(-1, 1).contiguous()
            rows = np.arange(from_, to - 1)
            pairs = store.segments.contains(rows, 2)
            found = searched_rows(lam, objective, translator, what.how, what.tolerance, frames, pairs)
            out[rows[rows >= low] - first] = found[rows >= low]
        return out

    def of(store: RolloutStore) -> np.ndarray:
        return derived_rows(
            store, KIND, what.digest, (len(COLUMNS),), np.int16,
            lambda first, last: values(store, first, last), progress,
        )  # fmt: skip

    return [of(store) for store in rollouts.stores]


def searched_rows(
    lam: SlotModel,
    objective: Objective,
    translator: Translator | None,
    how: How,
    tolerance: float,
    frames: Tensor,
    pairs: np.ndarray,
) -> np.ndarray:
    """Search k* of consecutive rows.

    Args:
        lam: The latent action model.
        objective: The cost.
        translator: Gives the previous actions, if the objective uses a translator.
        how, tolerance: Kind and tolerance of the search.
        frames: uint8 (B + 1, C, H, W).
        pairs: bool (B,), true where a row and the next form a transition.

    Returns:
        (B, 3) int16, see `COLUMNS`; zeros where there is no transition.
    """
    out = np.zeros((len(frames) - 1, len(COLUMNS)), np.int16)
    if not pairs.any():
        return out
    obs, after, chosen = frames[:-1], frames[1:], torch.from_numpy(pairs).to(frames.device)
    latents, previous = lam.encode(obs, after), None
    if translator is not None:
        with torch.no_grad():
            slots = lam.keep_prefix(latents, lam.config.slots)
            first = torch.cat([torch.ones_like(chosen[:1]), ~chosen[:-1]])
            previous = own_previous(translator, slots, obs, first)[chosen]
    found = choose(
        lam, obs[chosen], after[chosen], objective, tolerance, how, previous=previous, latents=latents[chosen]
    )
    out[pairs] = torch.stack([found.lengths, found.met.long(), found.evaluations], 1).cpu().numpy()
    return out


def need_budgets(what: Searched, rollouts: Rollouts) -> None:
    """Refuse rollouts whose k* have not been searched yet.

    Raises:
        ValueError: k* of a store are missing; the sentence says how to search them.
    """
    for store in rollouts.stores:
        if not has_derived_rows(store, KIND, what.digest):
            raise ValueError(
                f"{store.path} has no k* of this latent action model (objective {what.objective}, tolerance "
                f"{what.tolerance:g}): search them with `flexlam data budgets` and the same run."
            )
