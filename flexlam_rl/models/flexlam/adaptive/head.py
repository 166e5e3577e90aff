"""`BudgetHead`: predicts from the prior's state alone how many codes a decision needs.

It never sees the next frame. It has two outputs: the distribution of k* before the first code, and after each code the
probability that later codes change the action. Both cost little beside a decision.

Shapes: B rows, M slots, D width of the prior's state, H width of its state at a code, V codes.
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class BudgetConfig(Plain):
    """Sizes of a budget head, and what its k* mean."""

    slots: int
    codes: int
    state_width: int
    """D."""
    step_width: int
    """H; equal to D for the interleaved prior."""
    objective: str = "agreement"
    """Objective of the search for k*."""
    tolerance: float = 0.1
    """Tolerance of that search."""
    hidden: int = 64


class BudgetHead(PretrainedModel):
    """Two small perceptrons on the states of a frozen prior."""

    config_class = BudgetConfig

    def __init__(self, config: BudgetConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.state = nn.Linear(config.state_width, hidden)
        self.lengths = nn.Linear(hidden, config.slots)
        self.step = nn.Linear(config.step_width, hidden)
        self.code = nn.Embedding(config.codes, hidden)
        self.slot = nn.Embedding(config.slots, hidden)
        self.differs = nn.Linear(hidden, 1)
        for table in (self.code, self.slot):
            nn.init.normal_(table.weight, std=0.3)

    def length_logits(self, states: Tensor) -> Tensor:
        """Logits (..., M) of k* = 1..M from states (..., D) before the first code."""
        return self.lengths(F.gelu(self.state(states)))

    def more_needed(self, states: Tensor) -> Tensor:
        """Estimate the probability that k* is above k, (..., M) for k = 1..M; the last one is 0."""
        chances = self.length_logits(states).float().softmax(-1)
        return F.pad(chances.flip(-1).cumsum(-1).flip(-1)[..., 1:], (0, 1))

    def change_logits(self, k: Tensor | int, hidden: Tensor, codes: Tensor) -> Tensor:
        """Logits (...) of "the action of all M codes differs from that of the first k".

        Args:
            k: Number of codes so far, 1..M.
            hidden: The prior's state that predicted code k, (..., H).
            codes: Code k, int64 (...).
        """
        slot = self.slot.weight[k - 1]
        return self.differs(F.gelu(self.step(hidden) + self.code(codes) + slot))[..., 0]

    def change_chance(self, k: int, hidden: Tensor, codes: Tensor) -> Tensor:
        """Probability (B,) that later codes change the action; arguments as for `change_logits`."""
        return self.change_logits(k, hidden, codes).float().sigmoid()


def entropy_share(logits: Tensor) -> Tensor:
    """Entropy of a code as a share of its maximum, log V: logits (B, V) to (B,) in [0, 1]."""
    logs = logits.float().log_softmax(-1)
    return (-(logs.exp() * logs).sum(-1) / math.log(logits.shape[-1])).clamp(0, 1)
