"""Trained models of a run's folder, whichever way the folder is laid out, and the actions that a study can count."""

from pathlib import Path
from typing import Any, TypeVar

from flexlam_rl.datasets import Rollouts
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.systems import load_slot_model
from flexlam_rl.nn.pretrained import CONFIG, WEIGHTS, CheckpointError, PretrainedModel
from flexlam_rl.train.actions import action_spec

Model = TypeVar("Model", bound=PretrainedModel)


def model_folder(run: Path, name: str, stage: str | None = None) -> Path | None:
    """Where a run keeps the model `name`: as training writes it, as a published checkpoint does, or the folder itself;
    None if nowhere.

    Args:
        run: `--out` of a training, a folder with one sub-folder a model, or the folder of one model.
        name: "lam", "sequence", "translator" or "idm".
        stage: Stage that trained it, where that is not named like the model.
    """
    for folder in (run / (stage or name) / "best" / name, run / name, run):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    return None


def load_model(kind: type[Model], run: Path, name: str, device: str = "cpu") -> Model:
    """The model `name` of a run, frozen and in evaluation mode.

    Raises:
        CheckpointError: There is none, or it cannot be used.
    """
    model: Any = kind.from_pretrained(_folder(run, name), device=device)
    return model.requires_grad_(False).eval()


def load_lam(run: Path, device: str = "cpu") -> SlotModel:
    """The latent action model of a run, of whichever system, frozen and in evaluation mode.

    Raises:
        CheckpointError: There is none, or it cannot be used.
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
        rollouts: Those with the actions.
        study: Its name.

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
