"""Transitions of stored rollouts of any world, and the model that they are measured with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexlam_rl.datasets import Rollouts, open_rollouts
from flexlam_rl.envs.action_names import action_names
from flexlam_rl.eval.lam.health import load_transitions
from flexlam_rl.eval.lam.metrics import Transitions
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.nn.patch_embed import frame_size


@dataclass(frozen=True)
class Side:
    """One side of a comparison: rollouts of one world, or a task of it.

    Attributes:
        data: Folder of the rollouts.
        test: Their held-out rollouts.
        tasks: Names of the tasks; None for all.
    """

    data: Path
    test: Rollouts
    tasks: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """Domain and tasks, for titles."""
        return f"{self.test[0].spec.domain}: {', '.join(dict.fromkeys(self.test.levels))}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its actions that worlds share; empty where there are no such names."""
        return action_names(self.test[0].spec)

    def held_out(self, count: int, seed: int, labelled: bool = False) -> Transitions:
        """Draw transitions of the test split."""
        return load_transitions(self.test, count, seed, labelled=labelled)

    def learned_from(self, count: int, seed: int) -> Transitions:
        """Draw transitions of the training split whose actions are known, if there are any."""
        return load_transitions(open_rollouts(self.data, self.tasks, "train"), count, seed, labelled=True)

    def record(self) -> dict[str, Any]:
        """Describe the side, as JSON values for a result."""
        spec = self.test[0].spec
        return {
            "domain": spec.domain,
            "engine": spec.engine,
            "frame_skip": spec.frame_skip,
            "tasks": list(dict.fromkeys(self.test.levels)),
            "digests": list(self.test.digests),
        }


def open_sides(data: Sequence[Path], tasks: Sequence[tuple[str, ...] | None], lam: Any) -> list[Side]:
    """Open the test splits of folders, and check that the model can read their frames.

    Args:
        data: Folders of rollouts, each of one world.
        tasks: Tasks of each folder; None for all.
        lam: The model.

    Raises:
        ValueError: The frames of a folder have another size than those of another folder, or than the model's.
        StoreError: A folder has no test split, or does not have the task.
    """
    sides = [Side(path, open_rollouts(path, names, "test"), names) for path, names in zip(data, tasks, strict=True)]
    shapes = [tuple(side.test[0].frames.row) for side in sides]
    for side, shape in zip(sides, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(
                f"{sides[0].data} has frames of {_size(shapes[0])}, {side.data} of {_size(shape)}: transitions of both "
                "are compared only where their frames are equal in size."
            )
    wanted = (*frame_size(lam.config), lam.config.channels)
    if shapes[0] != wanted:
        raise ValueError(
            f"{sides[0].data} has frames of {_size(shapes[0])}; the latent action model takes {_size(wanted)}."
        )
    return sides


def pixel_model(checkpoint: str | None, device: str) -> PixelModel:
    """Load the latent action model of a run, a bundle or a folder of its own, frozen.

    Args:
        checkpoint: The run, bundle or folder; None for the bundle that comes with the package.
        device: Device of the model.

    Raises:
        CheckpointError: There is no such model, or it cannot be used.
        ValueError: The model predicts no pixels.
    """
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.eval.studies.trained_models import load_lam

    folder = None if checkpoint is None else Path(checkpoint)
    lam: Any = load_lam(folder, device) if folder and folder.is_dir() else load_bundle(checkpoint, device).lam
    if not isinstance(lam, PixelModel):
        raise ValueError(f"{checkpoint} holds a {type(lam).__name__}, which predicts no pixels: nothing can be drawn.")
    return lam


def checkpoint_name(checkpoint: str | None) -> str:
    """Return the name of a checkpoint in results: the last part of its path."""
    return "bundled" if checkpoint is None else Path(checkpoint).resolve().name


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
