"""`choose`: the fewest codes that tell enough of a transition, for any latent action model with prefixes.

Shapes: B transitions, C H W frame.
"""

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.adaptive.objectives import Objective, objective_named
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.prefix_search import Found, How, search
from flexlam_rl.utils.numbers import real


def need_prefixes(model: SlotModel, what: str) -> None:
    """Refuse a model of one budget.

    Raises:
        ValueError: Its slots are all or nothing.
    """
    if not model.config.prefix:
        raise ValueError(
            f"{what}: {model.title} has {model.config.slots} slots and no other budget; expected a model that was "
            "trained on prefixes."
        )


@in_own_modes
def choose(
    model: SlotModel,
    obs: Tensor,
    next_obs: Tensor,
    objective: Objective | str,
    tolerance: float,
    how: How = "full",
    *,
    previous: Tensor | None = None,
    start: Tensor | None = None,
    bins: int = 100,
    latents: Tensor | None = None,
) -> Found:
    """Find k*, the fewest codes of each transition whose cost is at most the tolerance.

    It looks at the next frame: it serves what has happened (data sets, history), never a decision.

    Args:
        model: A latent action model of any system.
        obs, next_obs: Frames (B, C, H, W).
        objective: What the cost is; "flow" and "picture" may be named.
        tolerance: The largest cost that is good enough, 0 or more.
        how: The kind of search.
        previous: The actions before, for objectives that ask a translator.
        start: Guesses, for searches that begin with one.
        bins: Lengths that a binned search tries.
        latents: Of the transitions, where they are known already.

    Returns:
        k* in 1..M; M where no length is good enough (`met` is false there); and the costs that were evaluated.

    Raises:
        ValueError: The tolerance is no number or negative, the model cannot give the objective, or has one budget only.
    """
    tolerance = real(tolerance, "tolerance")
    need_prefixes(model, "There is nothing to choose")
    asked = objective_named(objective) if isinstance(objective, str) else objective
    latents = model.encode(obs, next_obs) if latents is None else latents
    evaluate = asked.evaluator(model, obs, next_obs, latents, previous)
    with torch.no_grad():
        return search(evaluate, len(obs), model.config.slots, tolerance, how, start=start, bins=bins, device=obs.device)
