"""Notices operations for which the host waits for a GPU: reading a value, or asking where values are true."""

import traceback

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique")
ON_THE_HOST = ("host_draws.py", "torch/optim/", "numpy")
"""Where what is read lies on the host in any case: streams of numbers for the host, counters of optimizers."""


class HostWaits(TorchDispatchMode):
    """Collects such operations as (name, line of this project that asked)."""

    def __init__(self, *allowed: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.allowed = (*ON_THE_HOST, *allowed)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        indexed = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if name in READS or indexed:
            frames = traceback.extract_stack()[:-1]
            if not any(word in f"{frame.filename}:{frame.name}" for frame in frames for word in self.allowed):
                own = [frame for frame in frames if "flexlam_rl" in frame.filename] or frames
                self.found.append((name, f"{own[-1].filename}:{own[-1].lineno}"))
        return func(*args, **(kwargs or {}))
