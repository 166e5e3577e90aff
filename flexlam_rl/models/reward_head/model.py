"""Reward head: from two frames to the reward of the step between them, one of the values that occurred in training.

Rewards are rare, so training draws all values equally often, and predictions are then corrected by how often values
really occur: p(value | frames) ~ p_balanced(value | frames) * share(value).

Shapes: B transitions, T frames, C H W frame, V values.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.nn.frames import check_frames, to_unit
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.small_vision import convolutions
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class RewardHeadConfig(Plain):
    """Sizes of the head, and the rewards that occur.

    Attributes:
        image_size, image_width, channels: Size and channels of the frames.
        first: Channels of the first convolution.
        hidden: Width of the layer after the convolutions.
        values: Rewards that occur, ascending.
        shares: How often each of them occurs, with sum 1.
    """

    image_size: int = 64
    image_width: int | None = None
    channels: int = 3
    first: int = 32
    hidden: int = 256
    values: tuple[float, ...] = (0.0,)
    shares: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        """Raise ValueError if values and shares do not fit each other."""
        super().__post_init__()
        if len(self.values) != len(self.shares) or list(self.values) != sorted(set(self.values)):
            raise ValueError(
                f"values are {self.values} and shares {self.shares}; expected equal lengths, values ascending."
            )
        if min(self.shares) <= 0 or abs(sum(self.shares) - 1.0) > 1e-6:
            raise ValueError(f"shares are {self.shares}; expected numbers above 0 that add up to 1.")


class RewardHead(PretrainedModel):
    """A `RewardModel` that looks at pairs of frames."""

    config_class = RewardHeadConfig
    frames = 2
    """Number of frames that a reward depends on."""

    def __init__(self, config: RewardHeadConfig) -> None:
        super().__init__()
        self.config = config
        eye, features = convolutions(2 * config.channels, config.first, *frame_size(config))
        self.net = nn.Sequential(eye, nn.Linear(features, config.hidden), nn.ReLU())
        self.head = nn.Linear(config.hidden, len(config.values))

    def logits(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Compute logits (B, V) of the rewards between frames, (B, C, H, W) each, as if all were equally frequent."""
        return self.head(self.net(torch.cat([to_unit(obs), to_unit(next_obs)], dim=1))).float()

    def loss(self, obs: Tensor, next_obs: Tensor, which: Tensor) -> StepOutput:
        """Compute the cross-entropy to the indices (B,) of the true values, which are drawn equally often."""
        logits = self.logits(obs, next_obs)
        return StepOutput(F.cross_entropy(logits, which), {"accuracy": (logits.argmax(-1) == which).float().mean()})

    @in_own_modes
    def reward(self, frames: Tensor) -> Tensor:
        """Expected reward (B, T) of the step to each of frames (B, T, C, H, W); 0 at the first, which no step leads to.

        Raises:
            ValueError: The frames have another size or type.
        """
        check_frames(frames.flatten(0, 1), self.config.channels, frame_size(self.config))
        b, t = frames.shape[:2]
        device = self.head.weight.device
        values, shares = (torch.tensor(numbers, device=device) for numbers in (self.config.values, self.config.shares))
        found = torch.zeros(b, t, device=device)
        if t > 1:
            logits = self.logits(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))
            odds = (logits + shares.log()).softmax(-1)
            found[:, 1:] = (odds @ values).view(b, t - 1)
        return found
