"""`SYSTEMS`: the methods of this package, by name; and functions that load any of their models.

A system is a folder here, or another package that names its record as an entry point of the group "flexlam_rl.systems".
Its training stages are registered with `flexlam_rl.train`, its quantizers with `flexlam_rl.nn.quantizers`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from flexlam_rl.nn.places import CheckpointError
from flexlam_rl.nn.pretrained import PretrainedModel, saved_class
from flexlam_rl.utils.registry import Registry

if TYPE_CHECKING:
    from flexlam_rl.models.slot_model import SlotModel


@dataclass(frozen=True)
class System:
    """A method and its models.

    Attributes:
        title: Description of the method, in one line.
        models: Class names, as in a checkpoint's config.json, with the modules that define them.
    """

    title: str
    models: Mapping[str, str]

    def model_class(self, name: str) -> type[PretrainedModel]:
        """Import one of the system's models."""
        return getattr(import_module(self.models[name]), name)


SYSTEMS: Registry[System] = Registry(
    "system",
    {
        "flexlam": "flexlam_rl.models.flexlam:SYSTEM",
        "baselines": "flexlam_rl.models.baselines:SYSTEM",
        "videogpt": "flexlam_rl.models.videogpt:SYSTEM",
        "teco": "flexlam_rl.models.teco:SYSTEM",
        "reward_head": "flexlam_rl.models.reward_head:SYSTEM",
        "lamo": "flexlam_rl.models.lamo:SYSTEM",
        "elastictok": "flexlam_rl.models.elastictok:SYSTEM",
    },
    group="flexlam_rl.systems",
)


def load_model(name: str | Path, device: str | torch.device = "cpu", revision: str | None = None) -> PretrainedModel:
    """Load a model of any system.

    Args:
        name: Folder with config.json and model.safetensors, or a hub id "owner/name".
        device: Device of the weights.
        revision: Hub revision.

    Raises:
        CheckpointError: No system has a model of that class, or the checkpoint is damaged.
    """
    return _class_of(name, revision).from_pretrained(name, device=device, revision=revision)


def load_slot_model(name: str | Path, device: str | torch.device = "cpu", revision: str | None = None) -> "SlotModel":
    """Load a latent action model of any system.

    Raises:
        CheckpointError: The checkpoint holds something else, or is damaged.
    """
    from flexlam_rl.models.slot_model import SlotModel

    model = load_model(name, device, revision)
    if not isinstance(model, SlotModel):
        raise CheckpointError(f"{name} holds a {type(model).__name__!r}; expected a latent action model.")
    return model


def saved_config(name: str | Path) -> Any:
    """Read the configuration of a model of any system, without its weights.

    Raises:
        CheckpointError: No system has a model of that class, or the file is damaged.
    """
    return _class_of(name).saved_config(name)


def _class_of(name: str | Path, revision: str | None = None) -> type[PretrainedModel]:
    wanted = saved_class(name, revision)
    known = {model: system for system in map(SYSTEMS.get, SYSTEMS.names()) for model in system.models}
    if wanted not in known:
        raise CheckpointError(f"{name} holds a {wanted!r}; expected one of {', '.join(sorted(known))}.")
    return known[wanted].model_class(wanted)
