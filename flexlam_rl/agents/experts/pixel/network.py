"""The network of a pixel expert: from frames and its own previous actions to action logits and one value per task.

Shapes: B rows, T time, H W frame, A actions, L tasks, G width of the recurrent layer, F features of a frame. A network
that makes K choices per step, such as the codes of a latent action, has a further dimension K: before A in logits, and
as the last one of actions.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.agents.policy.compatibility import check_record
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.nn.gru import recur
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.small_vision import Vision, check_size, convolutions

_FEATURES, _EMBEDDING = 256, 16


@dataclass(frozen=True)
class PixelConfig:
    """The environment and tasks that a pixel expert is made for, and its sizes.

    Attributes:
        actions: Number of options per choice, A.
        tasks: Names of the tasks that it is trained on; each has a value head, which playing does not use.
        environment: Record of the environments that it is trained in.
        gru: Width of the recurrent layer, G.
        channels: Number of channels of the first convolution.
        choices: Number of choices per step, K, made independently of each other.
        vision: Size of the kernels of the convolutions.
    """

    actions: int
    tasks: tuple[str, ...]
    environment: EnvSpec
    gru: int = 256
    channels: int = 16
    choices: int = field(default=1, metadata={"later": True})
    vision: Vision = field(default="coarse", metadata={"later": True})

    @property
    def tail(self) -> tuple[int, ...]:
        """Last dimension of an action's shape: (K,) for several choices, () for one."""
        return () if self.choices == 1 else (self.choices,)

    def __post_init__(self) -> None:
        check_size(self.environment.height, self.environment.width)


class PixelNetwork(PretrainedModel):
    """Convolutions, an embedding of the previous action, a GRU, and linear heads for policy and values."""

    config_class = PixelConfig

    def __init__(self, config: PixelConfig) -> None:
        super().__init__()
        self.config = config
        self.half_vision = False
        """Whether the convolutions compute in bfloat16. Trainings set it; it is not part of the weights."""
        c, spec = config.channels, config.environment
        self.vision, size = convolutions(3, c, spec.height, spec.width, config.vision)
        self.project = nn.Linear(size, _FEATURES)
        self.previous = nn.Embedding((config.actions + 1) * config.choices, _EMBEDDING)
        self.input_gates = nn.Linear(_FEATURES + _EMBEDDING, 3 * config.gru)
        self.hidden_gates = nn.Linear(config.gru, 3 * config.gru)
        self.policy = nn.Linear(config.gru + _FEATURES, config.actions * config.choices)
        self.value = nn.Linear(config.gru + _FEATURES, len(config.tasks))
        for module in (*self.vision, self.project):
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None and not module.weight.is_meta:
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.zeros_(module.bias)
        with torch.no_grad():  # the policy begins near uniform, the values near zero
            self.policy.weight *= 0.1
            self.value.weight *= 0.1

    @property
    def none(self) -> int:
        """Number that stands for "no previous action" at the start of an episode."""
        return self.config.actions

    def _features(self, frames: Tensor) -> Tensor:
        """Compute features (B, F) of frames (B, H, W, 3) uint8."""
        pictures = frames.permute(0, 3, 1, 2).float().div_(255.0).sub_(0.5)
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=self.half_vision):
            return F.relu(self.project(self.vision(pictures))).float()

    def forward(
        self, frames: Tensor, previous: Tensor, begins: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network over T steps.

        Args:
            frames: Frames, (T, B, H, W, 3) uint8.
            previous: Previous actions, (T, B); ignored where an episode begins.
            begins: Whether an episode begins at a step, (T, B) bool.
            hidden: State before the first step, (B, G).

        Returns:
            Logits (T, B, A), normalized values (T, B, L), and the state after the last step (B, G).
        """
        time, rows = begins.shape
        seen = self._features(frames.flatten(0, 1)).unflatten(0, (time, rows))
        acted = self._acted(previous, begins)
        gates = self.input_gates(torch.cat([seen, acted], -1))
        states = recur(gates, begins, hidden, self.hidden_gates.weight, self.hidden_gates.bias)
        both = torch.cat([states, seen], -1)
        return self.policy(both).unflatten(-1, (*self.config.tail, -1)), self.value(both), states[-1]

    def _acted(self, previous: Tensor, begins: Tensor) -> Tensor:
        """Embed the previous actions, (T, B, _EMBEDDING)."""
        choices = self.config.choices
        if choices == 1:
            acted: Tensor = self.previous(torch.where(begins, self.none, previous))
            return acted
        first = torch.arange(choices, device=previous.device) * (self.none + 1)
        return self.previous(torch.where(begins[..., None], self.none, previous) + first).sum(-2)

    def together(self, values: Tensor) -> Tensor:
        """Sum log-probabilities, entropies or divergences over the K choices, which are the last dimension if K > 1."""
        return values if self.config.choices == 1 else values.sum(-1)


def begin_from(network: PixelNetwork, start: str) -> None:
    """Load the weights of another pixel expert; value heads of tasks that it was not trained on stay as they are.

    Args:
        network: Network to change in place.
        start: Folder of the other pixel expert.

    Raises:
        CheckpointError: The folder holds no pixel expert.
        ValueError: The other expert has other actions or sizes, or another environment.
    """
    other = PixelNetwork.from_pretrained(start)
    mine, theirs = network.config, other.config
    check_record(theirs.environment, mine.environment)
    for name in ("actions", "choices", "gru", "channels", "vision"):
        if getattr(mine, name) != getattr(theirs, name):
            raise ValueError(
                f"{start} is a pixel expert with {name} {getattr(theirs, name)}; here it is {getattr(mine, name)}."
            )
    state = {name: value for name, value in other.state_dict().items() if not name.startswith("value.")}
    for name in ("value.weight", "value.bias"):
        state[name] = network.state_dict()[name].clone()
        for i, task in enumerate(mine.tasks):
            if task in theirs.tasks:
                state[name][i] = other.state_dict()[name][theirs.tasks.index(task)]
    network.load_state_dict(state)
