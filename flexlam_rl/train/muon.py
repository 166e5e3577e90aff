"""Muon for processors that multiply bfloat16 slowly: torch's optimizer with its Newton-Schulz iteration in float32.

torch.optim.Muon orthogonalizes in bfloat16. CPUs without matrix units for that type emulate it: a step of the `tiny`
latent action model then took 2.3 s, beside 0.5 s of forward and backward passes. See docs/lam.md for both.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Approximate U V^T of `matrix` = U S V^T, (rows, columns), by the quintic iteration X <- a X + (b A + c A A) X
    with A = X X^T (Jordan, 2024).
    """
    a, b, c = coefficients
    x = matrix / matrix.norm().clamp_min(eps)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.t()
    for _ in range(steps):
        gram = x @ x.t()
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.t() if tall else x


class Float32Muon(torch.optim.Muon):
    """torch.optim.Muon with the update computed in the parameters' own type; options and state are the same.

    For `adjust_lr_fn`, it supports only "original".
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; `closure`, if given, recomputes the loss, which is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(gradient)
                average = state["momentum_buffer"].lerp_(gradient, 1.0 - group["momentum"])
                update = gradient.lerp(average, group["momentum"]) if group["nesterov"] else average
                rows, columns = parameter.shape
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                parameter.add_(
                    orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"]), alpha=-rate
                )
        return loss
