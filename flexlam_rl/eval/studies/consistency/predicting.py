"""What the models of a consistency study are told about each step, and what they predict.

Shapes: N clips, T frames, C H W picture, K budget.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.agents.imagined.controls import ActionControls, LatentControls
from flexlam_rl.eval.video.posed_clips import PosedClips
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.stepping import step_by_step


@dataclass(frozen=True)
class Arm:
    """A world model, and the latent action model that encodes the steps for it.

    Attributes:
        model: A `SteppedWorldModel`; None for a model that repeats the last frame.
        lam: Latent action model; None where no codes are needed.
    """

    model: Any = None
    lam: SlotModel | None = None

    @property
    def kind(self) -> str:
        """Kind of what the model is told."""
        return "nothing" if self.model is None else self.model.conditions.kind

    def budgets(self, wanted: tuple[int, ...]) -> list[int | None]:
        """Return those of the wanted budgets that the model can be told; only None where there is no choice.

        Raises:
            ValueError: The model can be told none of them.
        """
        if self.kind != "codes":
            # a model that was trained to predict without being told anything is also measured so
            return [None, 0] if 0 in wanted and hasattr(self.model, "unknown") else [None]
        conditions = self.model.conditions
        fitting = [k for k in wanted if k <= conditions.slots and (conditions.prefix or k == conditions.slots)]
        if not fitting:
            allowed = f"0..{conditions.slots}" if conditions.prefix else str(conditions.slots)
            raise ValueError(f"budgets is {wanted}; {type(self.model).__name__} can be told {allowed} codes.")
        return list(fitting)

    def check(self, actions: int | None) -> None:
        """Refuse a model that must be told something that the clips do not have.

        Args:
            actions: Number of actions; None where the clips have none.

        Raises:
            ValueError: The clips do not have what the model must be told.
        """
        if self.kind == "actions" and self.model.conditions.count != actions:
            raise ValueError(
                f"{type(self.model).__name__} is told one of {self.model.conditions.count} actions; the clips have "
                f"{actions or 'none'}."
            )
        if self.kind in ("codes", "vectors"):
            LatentControls(self.model.conditions, self.lam, None)
        if self.kind == "slots":
            raise ValueError(f"{type(self.model).__name__} has latent actions of numbers; this study needs codes.")

    def predict(self, clips: PosedClips, context: int, budget: int | None, seeds: list[int]) -> Tensor:
        """Predict all frames after the context once.

        Args:
            clips: True clips; frames after the context serve only to tell the model what happens.
            context: Number of frames that the model sees.
            budget: Number of codes, K; None where there is no choice. With 0, a model of actions or vectors is told
                nothing.
            seeds: One seed per clip, so that its prediction does not depend on other clips.

        Returns:
            The predicted frames, uint8 (N, T - context, C, H, W).
        """
        frames = clips.frames
        horizon = frames.shape[1] - context
        if self.model is None:
            return frames[:, context - 1 : context].repeat(1, horizon, 1, 1, 1)
        told = self._told(clips, budget)
        past, ahead = (None, None) if told is None else (told[:, : context - 1], told[:, context - 1 :])
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        device = next(self.model.parameters()).device
        ahead, past = (None if x is None else x.to(device) for x in (ahead, past))
        return step_by_step(self.model, frames[:, :context].to(device), ahead, horizon, streams, past).cpu()

    def _told(self, clips: PosedClips, budget: int | None) -> Tensor | None:
        """Compute what led from each frame to the next, (N, T - 1, ...)."""
        if self.kind == "nothing":
            return None
        if self.kind != "codes" and budget == 0:
            told: Tensor | None = self.model.unknown(len(clips.frames), clips.frames.shape[1] - 1)
            return told
        conditions = self.model.conditions
        if self.kind == "actions":
            return ActionControls(conditions.count).past(clips.frames, clips.actions)
        whole = conditions.slots if self.kind == "codes" and not conditions.prefix else None
        told = LatentControls(conditions, self.lam, whole or budget or None).past(clips.frames, clips.actions)
        return told if told is None or budget is None else told[..., :budget]
