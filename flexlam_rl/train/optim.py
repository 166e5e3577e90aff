"""Optimizers and learning-rate schedule of all stages."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from flexlam_rl.nn.param_groups import ParamGroup, param_groups


def learning_rate(step: int, steps: int, warmup: int) -> float:
    """Learning rate at `step` (from 0) as a share of the peak: linear warm-up, then cosine to a tenth at `steps`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return 0.1 + 0.45 * (1.0 + math.cos(math.pi * progress))


def build(
    modules: Iterable[nn.Module],
    name: str,
    lr: float,
    matrix_lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
) -> list[torch.optim.Optimizer]:
    """Make optimizers for every parameter that requires gradients.

    Args:
        modules: The modules that train.
        name: "adamw", or "muon": Muon for the hidden matrices, AdamW for all other parameters (`nn.param_groups`).
        lr: Peak rate of AdamW.
        matrix_lr: Peak rate of Muon.
        weight_decay: Weight decay of both, for the groups that decay.
        betas: Betas of AdamW.

    Raises:
        ValueError: `name` is unknown, or it is "muon" and torch is older than 2.9.
    """
    matrices, decayed, plain = _sorted(modules)
    if name == "adamw":
        decayed, matrices = decayed + matrices, []
    elif name != "muon":
        raise ValueError(f"optimiser is {name!r}; expected 'adamw' or 'muon'.")
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas)
    ]
    if matrices:
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(
                f"optimiser 'muon' needs torch 2.9 or newer; this is {torch.__version__}. Use --optimiser adamw."
            )
        optimisers.append(_muon(matrices)(matrices, lr=matrix_lr, weight_decay=weight_decay, adjust_lr_fn="original"))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def _sorted(modules: Iterable[nn.Module]) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Hidden matrices, other parameters that decay, and those that do not, by each model's own `param_groups`."""
    matrices: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    seen: set[int] = set()
    for module in modules:
        own_groups: Any = getattr(module, "param_groups", None)
        groups: list[ParamGroup] = own_groups() if own_groups else param_groups(module)
        for group in groups:
            chosen = matrices if group["kind"] == "matrix" else decayed if group["decay"] else plain
            own = [parameter for parameter in group["params"] if id(parameter) not in seen]
            seen.update(map(id, own))
            chosen.extend(own)
    return matrices, decayed, plain


def has_matrix_units() -> bool:
    """Tell whether this CPU has matrix units for bfloat16 (AMX), with which that type is faster than float32."""
    # this query of torch is private; versions without it train in fp32
    query = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(query and query())


def multiplies_bfloat16() -> bool:
    """Tell whether this CPU multiplies bfloat16 in hardware, by matrix units or AVX-512; training is then faster in
    that type than in float32.
    """
    query = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return has_matrix_units() or bool(query and query())


def _muon(matrices: list[nn.Parameter]) -> Callable[..., torch.optim.Optimizer]:
    if matrices[0].device.type == "cpu" and not has_matrix_units():
        from flexlam_rl.train.muon import Float32Muon  # its base class is missing from torch before 2.9

        return Float32Muon
    return torch.optim.Muon


def set_rate(optimisers: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Set every group's learning rate to `share` of its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * share
