"""Vector quantization with a codebook that follows the encoder.

The library that provides FSQ has such a class too. But its codebook starts at its first call, it counts dead codes in
absolute numbers, and it draws replacements from torch's global generator, which is not part of a run's state, so a
continued run would differ from one that never stopped. Shapes: `...` any leading dimensions, `N` vectors, `V` codes,
`d` numbers per slot.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.quantizers.interface import Quantized, Quantizer, entropy_bits
from flexlam_rl.utils.numbers import real, whole


class VQ(Quantizer):
    """Vector quantization (van den Oord et al., 2017): each vector is replaced by the nearest of V, shared by all
    slots.

    Each code is the exponential moving average of the vectors that chose it (appendix A.1 there). A code whose use
    falls below a share of the average use restarts at a vector of the batch; so do all codes at the first training
    step. A counter in the checkpoint determines which vectors these are.

    Args:
        size: V.
        dim: d.
        decay: Decay of the average, per training step.
        commitment: Weight, in the loss, of the squared distance from the encoder's vectors to their codes.
        restart: Share of the average use (all vectors divided by V) below which a code restarts.
        normalise: Normalize vectors and codes to length 1 (TECO), so that only directions count.
    """

    counts: Tensor
    codebook: Tensor
    steps: Tensor

    def __init__(
        self,
        size: int = 1000,
        dim: int = 16,
        decay: float = 0.99,
        commitment: float = 0.25,
        restart: float = 0.1,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        self.codes, self.dim = whole(size, "size", 2), whole(dim, "dim", 1)
        self.decay, self.commitment = real(decay, "decay"), real(commitment, "commitment")
        self.restart = real(restart, "restart")
        if not self.decay < 1:
            raise ValueError(f"decay is {decay!r}; expected 0 or more, and less than 1.")
        if not self.restart < 1:
            raise ValueError(f"restart is {restart!r}; expected 0 or more, and less than 1.")
        self.normalise = normalise
        codebook = torch.randn(size, dim)
        self.register_buffer("codebook", F.normalize(codebook, dim=-1) if normalise else codebook)
        # counts of 0: all codes restart at the first step
        self.register_buffer("counts", torch.zeros(size))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Replace each vector of z (..., d) by the nearest code; see `Quantizer`."""
        assert self.codes is not None
        z = F.normalize(z, dim=-1) if self.normalise else z
        flat = z.detach().reshape(-1, self.dim).float()
        moves = self.training and z.requires_grad and torch.is_grad_enabled()
        if moves:
            self._begin_anew(flat)
        nearest = (self.codebook.square().sum(-1) - 2 * flat @ self.codebook.T).argmin(-1)
        found = self.codebook[nearest].view(z.shape)
        if moves:
            self._follow(flat, nearest)
        codes = nearest.view(z.shape[:-1])
        loss = self.commitment * (z - found).square().mean()
        return Quantized(z + (found - z).detach(), codes, loss, entropy_bits(codes, self.codes))

    def lookup(self, codes: Tensor) -> Tensor:
        """Look up the vectors (..., d) of integer codes (...) in [0, V)."""
        return self.codebook[codes]

    @torch.no_grad()
    def _begin_anew(self, flat: Tensor) -> None:
        """Move rarely used codes to vectors of the batch, (N, d)."""
        fair = len(flat) / len(self.counts)
        dead = self.counts <= self.restart * fair
        order = _scattered(len(flat), self.steps).argsort()
        places = torch.arange(len(self.counts), device=flat.device) % len(flat)
        vectors = flat[order[places]]
        if dist.is_initialized():  # each rank has its own vectors, but all share one codebook
            dist.broadcast(vectors, 0)
        self.codebook.copy_(torch.where(dead[:, None], vectors, self.codebook))
        self.counts.copy_(self.counts.masked_fill(dead, fair))
        self.steps.add_(1)

    @torch.no_grad()
    def _follow(self, flat: Tensor, nearest: Tensor) -> None:
        """Move codes toward the mean of the vectors (N, d) that chose them, given by `nearest` (N,)."""
        chosen = torch.zeros_like(self.counts).index_add_(0, nearest, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.codebook).index_add_(0, nearest, flat)
        if dist.is_initialized():
            for part in (chosen, sums):
                dist.all_reduce(part)
                part.div_(dist.get_world_size())
        counts = self.decay * self.counts + (1 - self.decay) * chosen
        sums = self.decay * self.counts[:, None] * self.codebook + (1 - self.decay) * sums
        # with a decay of 0, a code that no vector chose stays where it is
        means = torch.where(counts[:, None] > 0, sums / counts[:, None], self.codebook)
        self.codebook.copy_(F.normalize(means, dim=-1) if self.normalise else means)
        self.counts.copy_(counts)


def _scattered(count: int, step: Tensor) -> Tensor:
    """Make pseudorandom int64 (`count`,), different at each `step`, by SplitMix64's finalizer (Steele et al., 2014).

    They are computed on the step's device, so that the host need not wait for it, and are equal on all devices.
    """
    x = (step * count + torch.arange(count, device=step.device) + 1) * -0x61C8864680B583EB
    x = (x ^ (x >> 30)) * -0x40A7B892E31B1A47
    x = (x ^ (x >> 27)) * -0x6B2FB644ECCEEE15
    return x ^ (x >> 31)
