"""Several processes through torchrun: one module that knows the rank."""

import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from flexlam_rl.train.stage import Stage


def start(device: str) -> tuple[int, int]:
    """Join the process group that torchrun announced, if any; returns (rank, world size)."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return 0, 1
    if not dist.is_initialized():
        if device.startswith("cuda"):
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return dist.get_rank(), dist.get_world_size()


def gather(value: Any) -> list[Any]:
    """`value` of every rank, in order of rank, on every rank."""
    if not dist.is_initialized():
        return [value]
    out: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(out, value)
    return out


class _Loss(nn.Module):
    """A stage's loss as a module, which is what torch makes parallel."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.trained = nn.ModuleDict(stage.trained())
        self.stage_loss = stage.loss

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return self.stage_loss(batch, generator)


def parallel(stage: Stage) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
    """The loss of a stage whose backward pass averages gradients over the ranks, while it computes others; weights and
    buffers are those of rank 0.

    The stage's modules must be on their device already.
    """
    if not dist.is_initialized():
        return stage.loss
    return nn.parallel.DistributedDataParallel(_Loss(stage))


def finish() -> None:
    """Leave the process group, all ranks together: one that still sends to a rank that has left is aborted."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
