"""`choose`: the fewest codes that describe a transition well enough, for any latent action model with prefixes.

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
    """Refuse a model that has one budget only.

    Raises:
        ValueError: The model was not trained on prefixes.
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

    The search looks at the next frame, so it is for transitions that have happened (data sets, history), not for
    decisions.

    Args:
        model: A latent action model of any system.
        obs, next_obs: Frames (B, C, H, W).
        objective: The cost: an `Objective`, or "flow" or "picture" by name.
        tolerance: The largest cost that is good enough, 0 or more.
        how: The kind of search.
        previous: Actions before the transitions, for objectives that use a translator.
        start: First guesses, for searches that begin with one.
        bins: Number of lengths that a binned search tries.
        latents: Latents of the transitions, if they are known already.

    Returns:
        k* in 1..M, which is M where no length is good enough (`met` is false there); and the costs that were evaluated.

    Raises:
        ValueError: The tolerance is negative or no number, or the model cannot give the objective or has one budget
            only.
    """
    tolerance = real(tolerance, "tolerance")
    need_prefixes(model, "There is nothing to choose")
    asked = objective_named(objective) if isinstance(objective, str) else objective
    latents = model.encode(obs, next_obs) if latents is None else latents
    evaluate = asked.evaluator(model, obs, next_obs, latents, previous)
    with torch.no_grad():
        return search(evaluate, len(obs), model.config.slots, tolerance, how, start=start, bins=bins, device=obs.device)
