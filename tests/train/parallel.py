"""Run by two processes: gradients and buffers after one backward pass (`parallel.py OUT`)."""

import importlib.util
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from flexlam_rl.train import distributed

_spec = importlib.util.spec_from_file_location("parallel_stages", Path(__file__).with_name("stages.py"))
assert _spec and _spec.loader
stages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stages)


def half(rank: int, ranks: int, alike: bool = True):
    """The stage of one rank with its weights, its batch and its stream; other weights and a buffer unless `alike`."""
    stage = stages.build("lam", rank, ranks)
    stage.model.register_buffer("count", torch.tensor(1.0 if alike else 1.0 + rank))
    for p in () if alike else stage.model.parameters():
        p.data += rank
    return stage, stage.next_batch("cpu"), torch.Generator().manual_seed(rank)


def main() -> None:
    out = Path(sys.argv[1])
    torch.set_num_threads(1)
    rank, ranks = distributed.start("cpu")
    stage, batch, generator = half(rank, ranks, alike=False)
    together = distributed.parallel(stage)  # kept: it averages for as long as it lives
    loss, _ = together(batch, generator)
    loss.backward()
    found = {name: p.grad for name, p in stage.model.named_parameters() if p.grad is not None}
    found |= {f"weight.{name}": p.detach() for name, p in stage.model.named_parameters()}
    save_file({**found, "buffer": stage.model.count}, out / f"{rank}.safetensors")
    distributed.finish()


if __name__ == "__main__":
    main()
