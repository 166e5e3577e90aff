"""Predictions of any length, frame by frame, by models that can be stepped.

Shapes: B batch, T frames of the context, C H W frame.
"""

import torch
from torch import Tensor

from flexlam_rl.models.interfaces import Conditions, SteppedWorldModel
from flexlam_rl.nn.streams import Streams


def step_by_step(
    model: SteppedWorldModel,
    context: Tensor,
    latents: Tensor | None,
    horizon: int,
    generator: Streams | None = None,
    past: Tensor | None = None,
) -> Tensor:
    """Predict frames, each from the newest frames of the model's look-back.

    Args:
        model: The world model.
        context: Past frames, (B, T, C, H, W); frames beyond the model's look-back are not used.
        latents: Conditions of each step ahead, (B, horizon, ...); None if the model takes none.
        horizon: Number of frames to predict.
        generator: Random stream, or one per row.
        past: Conditions of the steps between the context's frames, (B, T - 1, ...); None if they are not known.

    Returns:
        uint8 (B, horizon, C, H, W).

    Raises:
        ValueError: The context is shorter than the model needs, or the conditions do not fit the model.
    """
    least, most = model.look_back
    if context.shape[1] < least:
        raise ValueError(f"The context is {context.shape[1]} frames; this model looks back at {least} or more.")
    check_told(model.conditions, latents, horizon)
    items = model.remember(context[:, -most:])
    told = None if latents is None else known_past(model.conditions, latents, past, items.shape[1])
    frames = []
    for step in range(horizon):
        if told is not None and latents is not None:
            told = torch.cat([told, latents[:, step : step + 1]], dim=1)
        item, frame = model.next_frame(items, told, generator)
        frames.append(frame)
        items = torch.cat([items, item[:, None]], dim=1)[:, -most:]
        told = None if told is None else told[:, -items.shape[1] :]
    return torch.stack(frames, 1)


def known_past(conditions: Conditions, latents: Tensor, past: Tensor | None, count: int) -> Tensor:
    """Give the conditions of the steps to the newest `count` frames, (B, count, ...); the first one is unknown.

    Args:
        conditions: Conditions of the model.
        latents: Conditions ahead, (B, horizon, ...), whose type and shape the result has.
        past: As for `step_by_step`.
        count: Number of frames that the model remembers.
    """
    shape = (len(latents), count, *latents.shape[2:])
    told = torch.full(shape, conditions.unknown, dtype=latents.dtype, device=latents.device)
    if past is not None and past.shape[1]:
        given = past[:, -count:].to(latents)
        told[:, count - given.shape[1] :] = given
    return told


def check_told(conditions: Conditions, latents: Tensor | None, horizon: int) -> None:
    """Refuse conditions that do not fit the model or the number of steps.

    Raises:
        ValueError: Conditions are given to a model that takes none, are missing, or are for another number of steps.
    """
    if (latents is None) != (conditions.kind == "nothing"):
        given = "nothing" if latents is None else f"latents of shape {tuple(latents.shape)}"
        raise ValueError(f"The model is given {given}; it takes {conditions.kind}.")
    if latents is not None and latents.shape[1] != horizon:
        raise ValueError(f"latents are for {latents.shape[1]} steps; the horizon is {horizon}.")
