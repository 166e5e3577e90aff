"""Dropping parts of the past in training, so that a prior does not learn to rely on them.

In play, the past is the policy's own; a prior that has learned to continue the past then repeats itself (causal
confusion: de Haan et al., 2019).
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from flexlam_rl.nn.host_draws import host_stream


class Dropped(NamedTuple):
    """Parts of a window that later decisions do not see: bool (T,) each.

    A decision always sees its own newest frame.
    """

    frames: Tensor
    blocks: Tensor

    @classmethod
    def draw(cls, length: int, frames: float, blocks: float, generator: torch.Generator) -> Self | None:
        """Draw what is dropped in a window.

        Args:
            length: T, the length of the window.
            frames, blocks: Probabilities that a frame or a block is dropped, 0..1.
            generator: Source of all randomness of the step.

        Returns:
            The draw, or None if both probabilities are 0; no random numbers are used then.
        """
        if not frames and not blocks:
            return None
        chances = torch.tensor([frames, blocks])[:, None]
        return cls(*(torch.rand(2, length, generator=host_stream(generator), dtype=torch.float32) < chances))
