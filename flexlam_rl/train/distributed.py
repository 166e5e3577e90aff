"""Training in several processes through torchrun; the only module that deals with ranks of processes."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional  # if imported later, its default arguments would keep the group alive
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from flexlam_rl.train.stage import Stage

_PATIENCE = timedelta(minutes=30)
_stores: list[dist.Store] = []  # store of this process's group: one or none


def start(device: str) -> tuple[int, int]:
    """Join the process group that torchrun announced, if any; returns (rank, world size)."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return 0, 1
    if not dist.is_initialized():
        if device.startswith("cuda"):
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        store, rank, ranks = next(rendezvous("env://", timeout=_PATIENCE))
        dist.init_process_group(
            "nccl" if device.startswith("cuda") else "gloo", store=store, rank=rank, world_size=ranks
        )
        _stores.append(store)
    return dist.get_rank(), dist.get_world_size()


def gather(value: Any) -> list[Any]:
    """Collect `value` of every rank, in order of rank, on every rank."""
    if not dist.is_initialized():
        return [value]
    out: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(out, value)
    return out


class _Loss(nn.Module):
    """A stage's loss as a module, which torch's data parallelism needs."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.trained = nn.ModuleDict(stage.trained())
        self.stage_loss = stage.loss

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return self.stage_loss(batch, generator)


def parallel(stage: Stage) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
    """Make a stage's loss function whose backward pass averages gradients over the ranks while others are still
    computed; weights and buffers become those of rank 0.

    The stage's modules must already be on their device.
    """
    if not dist.is_initialized():
        return stage.loss
    return nn.parallel.DistributedDataParallel(_Loss(stage))


def finish() -> None:
    """Leave the process group once every rank has done its last exchange, and end the threads that served it.

    The ranks wait for each other through the store: a barrier would be another exchange, and Gloo may abort a process
    that is still in an exchange when another process has left. Rank 0 leaves last, because it may host the store.
    """
    if not _stores:
        return
    store, rank, others = _stores.pop(), dist.get_rank(), range(1, dist.get_world_size())
    group = store.add(f"flexlam/groups/{rank}", 1)  # a process may join another one later
    store.set(f"flexlam/{group}/done/{rank}", "")
    store.wait([f"flexlam/{group}/done/{other}" for other in (0, *others)], _PATIENCE)
    if rank:
        store.set(f"flexlam/{group}/leaving/{rank}", "")
    else:
        store.wait([f"flexlam/{group}/leaving/{other}" for other in others], _PATIENCE)
    dist.destroy_process_group()
