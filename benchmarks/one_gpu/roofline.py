"""The roofline: what a training step must at least compute and move, and what the device can compute and move.

Operations are counted by torch's FlopCounterMode (forward and backward). Bytes are those of the inputs and outputs of
matrix products, convolutions and attention, as if everything else were fused into these, and those of the optimizer:
weights, gradient and two moments. Both grow linearly with the batch, so that two small batches determine them for any
batch.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

HEAVY = ("mm", "addmm", "bmm", "baddbmm", "convolution", "attention", "embedding")
ADAMW_BYTES = 28
"""Bytes per parameter: weight and two moments read and written, gradient read, 4 bytes each."""


class ByteCounter(TorchDispatchMode):
    """Adds up the bytes that heavy operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(word in func.__name__ for word in HEAVY):
            tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
            self.total += sum(x.numel() * x.element_size() for x in tensors)
        return result


def step_costs(loss: Callable[[int], Tensor], batch: int, parameters: int) -> tuple[float, float]:
    """Count the operations and bytes of a training step.

    Args:
        loss: Function that computes the loss of a batch of the given number of examples.
        batch: Number of examples of the step.
        parameters: Number of parameters that train.
    """
    found = []
    for few in (2, 4):
        with FlopCounterMode(display=False) as flops, ByteCounter() as moved:
            loss(few).backward()
        found.append((float(flops.get_total_flops()), float(moved.total)))
    (ops, bytes_), (more_ops, more_bytes) = found
    scale = (batch - 2) / 2
    return ops + scale * (more_ops - ops), bytes_ + scale * (more_bytes - bytes_) + ADAMW_BYTES * parameters


def bandwidth(device: str, seconds: float = 1.0) -> float:
    """Measure the bytes per second of the best large copy, counting both reading and writing."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    source = torch.zeros((1 << 30 if device.startswith("cuda") else 1 << 25), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        wait()
        start = time.perf_counter()
        target.copy_(source)
        wait()
        best = min(best, time.perf_counter() - start)
    return 2 * source.numel() / best
