"""How much of each past block later decisions see: whole blocks, their first codes, or as many codes as were enough.

A transition that has happened shows its next frame, so the fewest codes that are good enough, k*, can be searched; a
decision cannot do that. Legend: `R` rows, `M` slots, `C H W` frame.
"""

from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.adaptive.choosing import choose, need_prefixes
from flexlam_rl.models.flexlam.adaptive.objectives import Agreement
from flexlam_rl.models.flexlam.factored.trunk import TimePrior
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.utils.budget_words import AutoBudget


def check_history(asked: int | AutoBudget, lam: SlotModel, prior: Any) -> None:
    """Refuse a history that the models cannot give.

    Args:
        asked: Number of codes of each past block, or the tolerance of k*.
        lam: The latent action model.
        prior: The prior that sees the past.

    Raises:
        ValueError: The prior sees whole blocks only, the model has one budget, or the number is out of range.
    """
    what = f"history is '{asked}'"
    if not isinstance(prior, TimePrior):
        raise ValueError(
            f"{what}, but the {type(prior).__name__} was trained on whole past blocks; expected a prior with one token "
            "per past block (factored, continuous, mixture), or no history."
        )
    need_prefixes(lam, what)
    if isinstance(asked, int) and asked > lam.config.slots:
        raise ValueError(f"{what}; expected 1..{lam.config.slots} codes.")


def kept_codes(
    asked: int | AutoBudget, lam: SlotModel, translator: Translator, obs: Tensor, next_obs: Tensor, latents: Tensor
) -> Tensor:
    """Find how many latents of past transitions are kept.

    k* is searched for the translator's action, which is read without a previous action.

    Args:
        asked: Number of codes of each past block, or the tolerance of k*.
        lam, translator: The models.
        obs, next_obs: Frames of the transitions, (R, C, H, W).
        latents: Their latents, (R, M) or (R, M, d).

    Returns:
        int64 (R,) in 1..M.
    """
    if isinstance(asked, int):
        return torch.full((len(obs),), asked, device=obs.device)
    return choose(lam, obs, next_obs, Agreement(translator), asked.tolerance, latents=latents).lengths
