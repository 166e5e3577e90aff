"""The state of a training run in one safetensors file: weights, optimizers, generators, data cursor, best loss.

The file is written atomically, so a run that is killed at any moment leaves either the old state or the new one,
complete.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.utils.files import write_atomically

FORMAT = 1
STATE = "state.safetensors"
"""Name of the file in a run's folder."""


def _flatten_optimiser(optimiser: torch.optim.Optimizer, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            key = f"{prefix}.{index}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value.detach().cpu().contiguous()
            else:
                numbers[key] = value
    groups = [{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]]
    return tensors, {"numbers": numbers, "groups": groups}


def _restore_optimiser(
    optimiser: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor], record: dict[str, Any]
) -> None:
    state = optimiser.state_dict()
    entries: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *record["numbers"].items()]:
        if key.startswith(prefix + "."):
            index, name = key[len(prefix) + 1 :].split(".", 1)
            entries.setdefault(int(index), {})[name] = value
    for group, saved in zip(state["param_groups"], record["groups"], strict=True):
        group.update({k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()})
    optimiser.load_state_dict({"state": entries, "param_groups": state["param_groups"]})


def save_state(
    path: Path,
    modules: dict[str, nn.Module],
    optimisers: list[torch.optim.Optimizer],
    generators: list[Tensor],
    extra: dict[str, Any],
) -> None:
    """Write the whole state of a run to `path`.

    Args:
        path: The file.
        modules: The modules that train, by name.
        optimisers: The optimizers, in a fixed order.
        generators: State of every rank's generator (uint8 tensors).
        extra: Everything else, as JSON.
    """
    tensors = {
        f"model.{name}.{key}": t.detach().cpu().contiguous()
        for name, m in modules.items()
        for key, t in m.state_dict().items()
    }
    records = []
    for i, optimiser in enumerate(optimisers):
        flat, record = _flatten_optimiser(optimiser, f"optimiser.{i}")
        tensors.update(flat)
        records.append(record)
    for rank, state in enumerate(generators):
        tensors[f"generator.{rank}"] = state
    header = {"format": str(FORMAT), "optimisers": json.dumps(records), "extra": json.dumps(extra)}
    write_atomically(path, save(tensors, metadata=header))


def _header(path: Path, file: Any) -> dict[str, str]:
    header = file.metadata() or {}
    if header.get("format") != str(FORMAT):
        raise CheckpointError(f"{path} has format {header.get('format')!r}; this version reads {FORMAT}.")
    return dict(header)


def saved_step(path: Path) -> int:
    """Read how many steps a saved run has trained, without reading its tensors.

    Raises:
        CheckpointError: The file is damaged or has another format.
    """
    try:
        with safe_open(path, "pt") as file:
            return int(json.loads(_header(path, file)["extra"])["step"])
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged or truncated: {error}.") from None


def load_state(
    path: Path, modules: dict[str, nn.Module], optimisers: list[torch.optim.Optimizer]
) -> tuple[list[Tensor], dict[str, Any]]:
    """Restore what `save_state` wrote; returns the generators' states and `extra`.

    Raises:
        CheckpointError: The file is damaged, of another format, or of another model.
    """
    try:
        with safe_open(path, "pt") as file:
            header = _header(path, file)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged or truncated: {error}.") from None
    for name, module in modules.items():
        prefix = f"model.{name}."
        own = {key[len(prefix) :]: t for key, t in tensors.items() if key.startswith(prefix)}
        wanted = module.state_dict()
        odd = [key for key, t in wanted.items() if key not in own or own[key].shape != t.shape]
        if odd or len(own) != len(wanted):
            raise CheckpointError(
                f"{path} does not fit the model {name!r}: it lacks {len(odd)} of its {len(wanted)} tensors, {odd[:1]} "
                "for one."
            )
        module.load_state_dict(own)
    for i, (optimiser, record) in enumerate(zip(optimisers, json.loads(header["optimisers"]), strict=True)):
        _restore_optimiser(optimiser, f"optimiser.{i}", tensors, record)
    generators = [tensors[f"generator.{rank}"] for rank in range(sum(key.startswith("generator.") for key in tensors))]
    return generators, json.loads(header["extra"])
