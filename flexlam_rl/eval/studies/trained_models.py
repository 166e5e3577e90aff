"""Loading of trained models from a run's folder in any layout, and the check of actions that a study can count."""

from pathlib import Path
from typing import Any, TypeVar

from flexlam_rl.datasets import Rollouts
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.systems import load_slot_model
from flexlam_rl.nn.pretrained import CheckpointError, PretrainedModel, model_folder
from flexlam_rl.train.actions import action_spec

Model = TypeVar("Model", bound=PretrainedModel)


def load_model(kind: type[Model], run: Path, name: str, device: str = "cpu") -> Model:
    """Load a model of a run, frozen and in evaluation mode.

    Args:
        kind: Class of the model.
        run: Folder of the run, as for `model_folder`.
        name: Name of the model, as for `model_folder`.
        device: Device of the model.

    Raises:
        CheckpointError: There is no such model, or it cannot be used.
    """
    model: Any = kind.from_pretrained(_folder(run, name), device=device)
    return model.requires_grad_(False).eval()


def load_lam(run: Path, device: str = "cpu") -> SlotModel:
    """Load the latent action model of a run, of any system, frozen and in evaluation mode.

    Raises:
        CheckpointError: There is no such model, or it cannot be used.
    """
    return load_slot_model(_folder(run, "lam"), device).requires_grad_(False).eval()


def _folder(run: Path, name: str) -> Path:
    folder = model_folder(run, name)
    if folder is None:
        raise CheckpointError(
            f"{run} holds no {name}; expected {run / name / 'best' / name} as training writes it, or {run / name}."
        )
    return folder


def only_choices(rollouts: Rollouts, study: str) -> None:
    """Refuse actions that a study cannot count as right or wrong.

    Args:
        rollouts: Rollouts with the actions.
        study: Name of the study.

    Raises:
        ValueError: Actions have continuous dimensions.
        StoreError: There are no actions.
    """
    spec = action_spec(rollouts)
    if spec.continuous:
        raise ValueError(
            f"The study {study!r} compares shares of right actions; those of {rollouts.stores[0].path} have "
            f"{spec.continuous} continuous dimensions: expected discrete ones, or use `flexlam health`."
        )
