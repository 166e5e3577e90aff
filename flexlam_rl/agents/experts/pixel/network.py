"""The network of a pixel expert: frames and its own previous actions in, action logits and a value per task out.

Shapes: B rows, T time, H W frame, A actions, L tasks, G width of the recurrent layer, F features of a frame.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.small_vision import check_size, convolutions

_FEATURES, _EMBEDDING = 256, 16


@dataclass(frozen=True)
class PixelConfig:
    """What a pixel expert was made for, and its sizes.

    Attributes:
        actions: A.
        tasks: Trained on them; each has a value head, which playing does not use.
        environment: The record trained in.
        gru: G.
        channels: Of the first convolution.
    """

    actions: int
    tasks: tuple[str, ...]
    environment: EnvSpec
    gru: int = 256
    channels: int = 16

    def __post_init__(self) -> None:
        check_size(self.environment.height, self.environment.width)


class PixelNetwork(PretrainedModel):
    """Convolutions, an embedding of the previous action, a GRU, and linear heads for policy and values."""

    config_class = PixelConfig

    def __init__(self, config: PixelConfig) -> None:
        super().__init__()
        self.config = config
        c, spec = config.channels, config.environment
        self.vision, size = convolutions(3, c, spec.height, spec.width)
        self.project = nn.Linear(size, _FEATURES)
        self.previous = nn.Embedding(config.actions + 1, _EMBEDDING)
        self.input_gates = nn.Linear(_FEATURES + _EMBEDDING, 3 * config.gru)
        self.hidden_gates = nn.Linear(config.gru, 3 * config.gru)
        self.policy = nn.Linear(config.gru + _FEATURES, config.actions)
        self.value = nn.Linear(config.gru + _FEATURES, len(config.tasks))
        for module in (*self.vision, self.project):
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None and not module.weight.is_meta:
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.zeros_(module.bias)
        with torch.no_grad():  # a policy that begins near uniform, values near zero
            self.policy.weight *= 0.1
            self.value.weight *= 0.1

    @property
    def none(self) -> int:
        """Number that stands for "no previous action", at the start of an episode."""
        return self.config.actions

    def _features(self, frames: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 to (B, F)."""
        pictures = frames.permute(0, 3, 1, 2).float() / 255.0 - 0.5
        return F.relu(self.project(self.vision(pictures)))

    def _recur(self, gates: Tensor, hidden: Tensor) -> Tensor:
        """One step of a GRU, its part of the input computed before."""
        reset, update, new = gates.chunk(3, -1)
        own_reset, own_update, own_new = self.hidden_gates(hidden).chunk(3, -1)
        candidate = torch.tanh(new + torch.sigmoid(reset + own_reset) * own_new)
        return torch.lerp(candidate, hidden, torch.sigmoid(update + own_update))

    def forward(
        self, frames: Tensor, previous: Tensor, begins: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run over time.

        Args:
            frames: (T, B, H, W, 3) uint8.
            previous: The actions before, (T, B); ignored where an episode begins.
            begins: Whether an episode begins at a step, (T, B) bool.
            hidden: State before the first step, (B, G).

        Returns:
            Logits (T, B, A), normalised values (T, B, L), and the state after the last step (B, G).
        """
        time, rows = previous.shape
        seen = self._features(frames.flatten(0, 1)).unflatten(0, (time, rows))
        acted = self.previous(torch.where(begins, self.none, previous))
        gates = self.input_gates(torch.cat([seen, acted], -1))
        keep = (~begins).to(seen.dtype)[..., None]
        states = []
        for t in range(time):
            hidden = self._recur(gates[t], hidden * keep[t])
            states.append(hidden)
        both = torch.cat([torch.stack(states), seen], -1)
        return self.policy(both), self.value(both), hidden
