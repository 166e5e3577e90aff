"""What "good enough" means for the first k codes of a transition: the costs that a search over prefixes compares with a
tolerance.

Shapes: B transitions, C H W frame, M slots, k kept slots.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.action_distance import action_distance
from flexlam_rl.nn.action_head import choose_actions, no_action
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.prefix_search import Evaluate
from flexlam_rl.utils.numbers import whole

OBJECTIVES = ("flow", "picture", "agreement")


class Objective(Protocol):
    """A cost of keeping only the first k slots; less is better."""

    def evaluator(
        self, model: SlotModel, obs: Tensor, next_obs: Tensor, latents: Tensor, previous: Tensor | None
    ) -> Evaluate:
        """Make the function that maps prefix lengths, int64 (B,), to costs (B,).

        Args:
            model: The latent action model that made the latents.
            obs, next_obs: Frames (B, C, H, W).
            latents: All M slots of these transitions.
            previous: Actions before the transitions, (B, dims) as models take them; None if they are not known.

        Raises:
            ValueError: The model cannot give this objective.
        """
        ...


@dataclass(frozen=True)
class FlowLoss:
    """The flow loss at pure noise, where the codes are the only source of information about the next frame.

    The noise is one fixed picture, so a transition's cost does not depend on the rest of the batch.
    """

    seed: int = 0

    def evaluator(
        self, model: SlotModel, obs: Tensor, next_obs: Tensor, latents: Tensor, previous: Tensor | None
    ) -> Evaluate:
        """See `Objective`."""
        if model.error_name != "flow loss":
            raise ValueError(
                f"The objective is 'flow', but {model.title} has no flow loss (it learns by its {model.error_name}); "
                "expected a model with a flow decoder, or another objective."
            )
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(1, *obs.shape[1:], generator=generator).to(obs.device).expand(obs.shape)
        return lambda k: model.prediction_error(obs, next_obs, model.keep_prefix(latents, k), noise)


@dataclass(frozen=True)
class PictureError:
    """Mean squared error of the predicted next frame, with pixels in [0, 1], decoded from fixed noise."""

    steps: int = 8
    """Euler steps of the decoder, 1 or more."""
    seed: int = 0

    def __post_init__(self) -> None:
        whole(self.steps, "steps", 1)

    def evaluator(
        self, model: SlotModel, obs: Tensor, next_obs: Tensor, latents: Tensor, previous: Tensor | None
    ) -> Evaluate:
        """See `Objective`."""
        if not isinstance(model, PixelModel):
            raise ValueError(
                f"The objective is 'picture', but {model.title} predicts no pixels; expected a model that does, or "
                "another objective."
            )
        wanted = to_unit(next_obs)

        def costs(k: Tensor) -> Tensor:
            generator = torch.Generator(obs.device).manual_seed(self.seed)  # the same noise for every length
            predicted = model.sample(obs, model.keep_prefix(latents, k), self.steps, generator).clamp(-1, 1)
            return ((predicted - wanted) / 2).square().flatten(1).mean(1)

        return costs


@dataclass(frozen=True)
class Agreement:
    """Distance between the translator's actions from the first k codes and from the whole block (`action_distance`).

    It asks for more codes only where they change the action. At k = M it is 0.
    """

    translator: Translator = field(repr=False)

    def evaluator(
        self, model: SlotModel, obs: Tensor, next_obs: Tensor, latents: Tensor, previous: Tensor | None
    ) -> Evaluate:
        """See `Objective`."""
        translator, spec = self.translator, self.translator.config.actions
        if (translator.config.slots, translator.config.code_dim) != (model.latent.slots, model.latent.dim):
            raise ValueError(
                f"The translator takes {translator.config.slots} slots of {translator.config.code_dim} numbers, and "
                f"{model.title} has {model.latent.slots} of {model.latent.dim}; expected equal numbers."
            )
        before = no_action(spec, len(obs), obs.device) if previous is None else previous

        def outputs(k: Tensor) -> Tensor:
            return translator(model.keep_prefix(latents, k), before, obs)

        whole_block = outputs(torch.full((len(obs),), model.latent.slots, device=obs.device))
        return lambda k: action_distance(outputs(k), whole_block, spec)


def objective_named(name: str, translator: Any = None) -> Objective:
    """Make an objective from its name.

    Args:
        name: "flow", "picture" or "agreement".
        translator: The translator; "agreement" needs it.

    Raises:
        ValueError: There is no such objective, or "agreement" has no translator.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"objective is {name!r}; expected one of {', '.join(OBJECTIVES)}.")
    if name == "agreement":
        if translator is None:
            raise ValueError("objective is 'agreement', which needs a translator; there is none: train one first.")
        return Agreement(translator)
    return FlowLoss() if name == "flow" else PictureError()


def own_previous(translator: Translator, slots: Tensor, obs: Tensor, first: Tensor) -> Tensor:
    """Estimate the action before each of consecutive transitions from codes, where no labels are known.

    Each action comes from the whole block of the transition before, translated without a previous action; the codes
    nearly always determine it.

    Args:
        translator: The translator that reads the codes.
        slots: Whole blocks of B consecutive transitions, (B, M, d).
        obs: Their frames (B, C, H, W).
        first: bool (B,), true where the transition before does not belong to the same episode.

    Returns:
        Actions (B, dims) as models take them; "no action" where `first` is true.
    """
    spec = translator.config.actions
    none = no_action(spec, len(slots), slots.device)
    if not translator.sees_previous:
        return none
    own = choose_actions(translator(slots, none, obs), spec).to(none.dtype)
    return torch.where(first[:, None], none, own.roll(1, 0))
