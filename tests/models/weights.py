"""Weights far from their beginning, where little depends on anything."""

from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def shaken(model: M) -> M:
    """Redraw all weights but biases and norms, from torch's own stream; the model is frozen and evaluates."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return model.requires_grad_(False).eval()
