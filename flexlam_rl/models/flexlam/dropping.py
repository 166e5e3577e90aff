"""Leaving out parts of the past in training, so that a prior does not come to rely on them.

In play the past is the policy's own, and a prior that has learned to go on as the past went repeats it (causal
confusion: de Haan et al., 2019).
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from flexlam_rl.nn.host_draws import host_stream


class Dropped(NamedTuple):
    """What of a window later decisions do not see: bool (T,) each.

    A decision always sees its own newest frame.
    """

    frames: Tensor
    blocks: Tensor

    @classmethod
    def draw(cls, length: int, frames: float, blocks: float, generator: torch.Generator) -> Self | None:
        """Draw a window's.

        Args:
            length: T.
            frames, blocks: Probabilities, 0..1.
            generator: All randomness of the step.

        Returns:
            None where both probabilities are 0; nothing is drawn then.
        """
        if not frames and not blocks:
            return None
        chances = torch.tensor([frames, blocks])[:, None]
        return cls(*(torch.rand(2, length, generator=host_stream(generator), dtype=torch.float32) < chances))
