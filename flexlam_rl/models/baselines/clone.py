"""A small policy that is cloned from all actions of a video: an upper bound of what can be imitated from pixels.

Shapes: B batch, T time, C H W frame, F features, A actions, S numbers of a state.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.param_groups import ParamGroup
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.small_vision import check_size, convolutions

Memory = Literal["frame", "frames", "recurrent"]
"""What a clone sees beside the current frame: nothing, the nine frames before it, or all earlier frames (by a GRU)."""
FRAMES = 10
"""Number of frames that the memory "frames" sees, including the current one."""
_FEATURES, _SHORT, _EMBEDDING = 256, 64, 16


@dataclass(frozen=True)
class CloneConfig:
    """Sizes and inputs of a clone, and the environment that it was made for.

    Attributes:
        actions: A.
        memory: Kind of memory.
        previous: Whether it sees the previous action.
        environment: Environment record of the video.
        colours: C.
        width: Width of the hidden layer and of the GRU.
        channels: Channels of the first convolution.
    """

    actions: int
    memory: Memory
    previous: bool
    environment: EnvSpec
    colours: int = 3
    width: int = 256
    channels: int = 16

    def __post_init__(self) -> None:
        """Raise ValueError if the frames are too small."""
        check_size(self.environment.height, self.environment.width)


class Clone(PretrainedModel):
    """Convolutions, a memory of their features, the previous action (optional), and one hidden layer."""

    config_class = CloneConfig

    def __init__(self, config: CloneConfig) -> None:
        super().__init__()
        self.config = config
        spec = config.environment
        self.vision, size = convolutions(config.colours, config.channels, spec.height, spec.width)
        self.project = nn.Linear(size, _FEATURES)
        self.embed = nn.Embedding(config.actions + 1, _EMBEDDING)
        if config.memory == "frames":
            self.short = nn.Linear(_FEATURES, _SHORT)
        if config.memory == "recurrent":
            self.gru = nn.GRU(_FEATURES + _EMBEDDING, config.width, batch_first=True)
        remembered = {"frame": 0, "frames": FRAMES * _SHORT, "recurrent": config.width}[config.memory]
        self.hidden = nn.Linear(_FEATURES + _EMBEDDING + remembered, config.width)
        self.head = nn.Linear(config.width, config.actions)

    def param_groups(self) -> list[ParamGroup]:
        """Sort the parameters: all matrices between the convolutions and the head are hidden ones."""
        inside = [self.project, self.hidden, *(getattr(self, name) for name in ("short", "gru") if hasattr(self, name))]
        matrices = [weight for layer in inside for weight in layer.parameters() if weight.ndim == 2]
        taken = set(map(id, matrices))
        groups: list[ParamGroup] = [{"params": matrices, "kind": "matrix", "decay": True}]
        for group in super().param_groups():
            left = [weight for weight in group["params"] if id(weight) not in taken]
            groups += [{**group, "params": left}] if left else []
        return groups

    @property
    def none(self) -> int:
        """Number that stands for "no previous action" at the start of an episode."""
        return self.config.actions

    @property
    def state_size(self) -> int:
        """S, the number of values that a row remembers between two steps; all are 0 at the start."""
        return {"frame": 0, "frames": (FRAMES - 1) * _SHORT, "recurrent": self.config.width}[self.config.memory]

    def forward(self, frames: Tensor, previous: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over several steps.

        Args:
            frames: uint8 (B, T, C, H, W).
            previous: Previous actions, int64 (B, T).
            state: State after the steps before, (B, S); None at the start.

        Returns:
            Logits (B, T, A), and the state after the last step, (B, S).
        """
        b, t = previous.shape
        seen = F.relu(self.project(self.vision(to_unit(frames.flatten(0, 1))))).unflatten(0, (b, t))
        acted = self.embed(previous if self.config.previous else torch.full_like(previous, self.none))
        state = seen.new_zeros(b, self.state_size) if state is None else state
        parts = [seen, acted]
        if self.config.memory == "frames":
            history = torch.cat([state.unflatten(1, (FRAMES - 1, _SHORT)), F.relu(self.short(seen))], 1)
            parts.append(history.unfold(1, FRAMES, 1).flatten(2))
            state = history[:, -(FRAMES - 1) :].flatten(1)
        if self.config.memory == "recurrent":
            remembered, after = self.gru(torch.cat(parts, -1), state[None])
            parts, state = [*parts, remembered], after[0]
        return self.head(F.relu(self.hidden(torch.cat(parts, -1)))), state
