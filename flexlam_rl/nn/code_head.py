"""Codes of a block one after another from one state: a gated recurrent unit (Cho et al., 2014) over codes.

It stands behind a transformer that has seen everything else, so that a code costs two small products instead of a pass
of the transformer. Shapes: B rows, K codes of a block, V codes, D width of the state, H width of the head, E numbers
per embedded code.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.rms_norm import RMSNorm


class Recurrence(HiddenLayer):
    """What the hidden state adds to the gates."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Linear(hidden, 3 * hidden)

    def forward(self, inputs: Tensor, hidden: Tensor) -> Tensor:
        """The next hidden state (B, H) from the inputs' share of the gates (B, 3 H) and the hidden state (B, H)."""
        return turn(inputs, self.gates(hidden), hidden)


def turn(inputs: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
    """One step of the unit: both shares of the reset, update and candidate gates (B, 3 H), and the state (B, H)."""
    width = hidden.shape[-1]
    inputs, recurrent = inputs.to(hidden.dtype), recurrent.to(hidden.dtype)
    reset, keep = (inputs[:, : 2 * width] + recurrent[:, : 2 * width]).sigmoid().chunk(2, dim=-1)
    candidate = torch.addcmul(inputs[:, 2 * width :], reset, recurrent[:, 2 * width :]).tanh()
    return torch.lerp(candidate, hidden, keep)


class CodeHead(nn.Module):
    """Logits of each code of a block from the state and the codes before it.

    Args:
        width: D.
        codes: V.
        slots: M, the most codes of a block.
        embedded: E.
        hidden: H.
        norm_eps: Of the norm before the logits.
    """

    def __init__(self, width: int, codes: int, slots: int, embedded: int, hidden: int, norm_eps: float) -> None:
        super().__init__()
        self.begin = nn.Linear(width, hidden)
        # the state is told at every step: what the recurrence forgets is still there
        self.state = nn.Linear(width, 3 * hidden)
        self.code = nn.Linear(embedded, 3 * hidden, bias=False)
        self.slot = nn.Parameter(torch.randn(slots, 3 * hidden) * 0.02)
        self.recurrence = Recurrence(hidden)
        self.norm = RMSNorm(hidden, norm_eps)
        self.logits = nn.Linear(hidden, codes, bias=False)

    def reset(self) -> None:
        """Draw the weights before the gates as wide as their inputs ask for: gates that hardly move learn slowly."""
        for layer in (self.begin, self.state, self.code, self.recurrence.gates):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, states: Tensor, before: Tensor, predicted: int) -> Tensor:
        """Logits of whole blocks at once.

        Args:
            states: (B, D).
            before: Embedded codes (B, predicted - 1, E), or more, of which the rest is not used.
            predicted: How many codes to predict, from the first.

        Returns:
            (B, predicted, V).
        """
        inputs = self.state(states)[:, None] + self.slot[:predicted]
        # the first code has none before it
        inputs = inputs + F.pad(self.code(before[:, : predicted - 1]), (0, 0, 1, 0))
        hidden, steps = self.begin(states).tanh(), []
        if torch.is_autocast_enabled(hidden.device.type):
            hidden = hidden.float()  # a sum over many steps, which bfloat16 would round at each
        for step in inputs.unbind(1):
            hidden = self.recurrence(step, hidden)
            steps.append(hidden)
        return self.logits(self.norm(torch.stack(steps, 1)))
