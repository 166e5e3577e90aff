"""A gated recurrent unit (Cho et al., 2014) over time, with states that are forgotten where an episode begins.

torch's own takes sequences without such places. Steps one by one under autograd add up the weights' gradient at each
step; this adds it up once, in one product.

Shapes: T time, B rows, G width of the state.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Recurrence(torch.autograd.Function):
    """All steps, with a backward pass of its own."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, keep: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        states, before, opened = [], [], []
        for gate, kept in zip(gates.unbind(), keep.unbind(), strict=True):
            hidden = hidden * kept
            before.append(hidden)
            reset, update, new = gate.chunk(3, -1)
            own_reset, own_update, own_new = torch.addmm(bias, hidden, weight.t()).chunk(3, -1)
            r, z = torch.sigmoid(reset + own_reset), torch.sigmoid(update + own_update)
            candidate = torch.tanh(new + r * own_new)
            hidden = torch.lerp(candidate, hidden, z)
            states.append(hidden)
            opened.append((r, z, candidate, own_new))
        if any(ctx.needs_input_grad):  # playing saves nothing
            parts = (torch.stack(part) for part in zip(*opened, strict=True))
            ctx.save_for_backward(keep, weight, torch.stack(before), *parts)
        return torch.stack(states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        keep, weight, before, r, z, candidate, own_new = ctx.saved_tensors
        # the factors between the gradient of a state and those of the gates' inputs, for all steps at once
        of_new = (1.0 - z) * (1.0 - candidate.square())
        of_update = (before - candidate) * z * (1.0 - z)
        of_reset = of_new * own_new * r * (1.0 - r)
        of_gates = torch.stack([of_reset, of_update, of_new], -2)
        of_own = torch.stack([of_reset, of_update, of_new * r], -2)
        own = torch.empty_like(of_own)
        at = torch.empty_like(gradient)
        later = torch.zeros_like(gradient[0])
        for t in range(len(gradient) - 1, -1, -1):
            torch.add(gradient[t], later, out=at[t])
            torch.mul(of_own[t], at[t][:, None], out=own[t])
            later = torch.addmm(at[t] * z[t], own[t].flatten(1), weight) * keep[t]
        own = own.flatten(2)
        of_weight = own.flatten(0, 1).t() @ before.flatten(0, 1)
        return (of_gates * at[:, :, None]).flatten(2), None, later, of_weight, own.sum((0, 1))


def recur(gates: Tensor, begins: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Run a GRU over T steps.

    Args:
        gates: What the inputs give the reset gate, the update gate and the candidate, in this order: (T, B, 3 G).
        begins: Whether an episode begins at a step: (T, B) bool. Its state is 0 before that step.
        hidden: State before the first step, (B, G).
        weight: Weights from the state to the same three, (3 G, G).
        bias: Biases of the same three, (3 G,).

    Returns:
        The state after each step, (T, B, G).
    """
    keep = (~begins).to(gates.dtype)[..., None]
    states: Tensor = _Recurrence.apply(gates, keep, hidden, weight, bias)
    return states
