"""Batch normalization of the numbers that are quantized.

Shapes: B batch, M slots, d numbers per slot.
"""

import torch
from torch import Tensor, nn

DEVIATION = 0.8
"""Standard deviation of each number over a batch: FSQ's levels reach to 1.5 on both sides."""
MOMENTUM = 0.02
"""Weight of a new batch in the moving averages that are used outside of training."""
EPS = 1e-4


class SlotNorm(nn.Module):
    """Give each number of each slot mean 0 and deviation `DEVIATION` over the examples (Ioffe and Szegedy, 2015).

    A slot whose numbers hardly differ between examples then still uses all of its codes, so that the decoder can find
    a use for it. There is no learned scale or shift.

    In training mode, the statistics are those of the batch, if it has more than one example and its numbers require
    gradients. Otherwise they are moving averages over training batches, so an example's codes do not depend on other
    examples, and the codes of a frozen encoder do not change.

    Args:
        slots: M.
        dim: d.
    """

    mean: Tensor
    var: Tensor
    seen: Tensor

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(slots, dim, dtype=torch.float32))
        self.register_buffer("var", torch.ones(slots, dim, dtype=torch.float32))
        self.register_buffer("seen", torch.zeros((), dtype=torch.float32))

    def forward(self, z: Tensor) -> Tensor:
        """Normalize z, float (B, M, d)."""
        mean, var = self.mean, self.var
        if self.training and z.requires_grad and len(z) > 1:
            mean, var = z.mean(0), z.var(0, unbiased=False)
            self._follow(mean.detach(), var.detach())
        return (z - mean) * (var + EPS).rsqrt() * DEVIATION

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor) -> None:
        # the first batches count equally, so that a short training ends with averages of what it saw
        self.seen += 1
        share = self.seen.reciprocal().clamp_min(MOMENTUM)
        self.mean.lerp_(mean, share)
        self.var.lerp_(var, share)
