"""`Stage`: interface between stages and the training loop; and `SourceStage`, which most stages derive from."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.train.source import Source, to_device


class Stage(Protocol):
    """What a stage provides to the training loop."""

    name: str
    grows_at: int | None
    """Step from which on steps cost more, for example because a curriculum grows; None for none."""

    def saved(self) -> dict[str, PretrainedModel]:
        """Models that an evaluation writes to best/<name> and last/<name>."""
        ...

    def trained(self) -> dict[str, nn.Module]:
        """Modules with parameters that train, by name."""
        ...

    def compile(self) -> None:
        """Let torch compile the modules that do most of the arithmetic."""
        ...

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """Give the next batch on `device`."""
        ...

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the mean loss and figures to log; all randomness comes from `generator`."""
        ...

    def evaluate(self, device: str) -> dict[str, float]:
        """Compute figures on held-out data; "loss" chooses the best checkpoint. Must be deterministic."""
        ...

    def sheet(self, path: Path) -> None:
        """Draw a sample sheet to `path`, if the stage has something to show."""
        ...

    def cursor(self) -> dict[str, Any]:
        """Position in the data, as JSON."""
        ...

    def seek(self, cursor: dict[str, Any]) -> None:
        """Go back to a saved cursor."""
        ...


class SourceStage:
    """Base of stages whose batches come from one source: everything but the models, `loss` and `evaluate`.

    Args:
        models: Models that train and are saved, by name.
        source: Source of batches.
        frozen: Models that are used but do not train.
    """

    grows_at: int | None = None

    def __init__(self, models: dict[str, PretrainedModel], source: Source, *frozen: PretrainedModel) -> None:
        self.models, self.source, self.frozen = models, source, frozen

    def saved(self) -> dict[str, PretrainedModel]:
        """All models that train."""
        return self.models

    def trained(self) -> dict[str, nn.Module]:
        """All models that train."""
        return dict(self.models)

    def compile(self) -> None:
        """Compile the heavy parts of all models."""
        for model in (*self.models.values(), *self.frozen):
            model.compile_parts()

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """Give the source's next batch."""
        return to_device(self.source.next(), device)

    def sheet(self, path: Path) -> None:
        """Draw nothing."""

    def cursor(self) -> dict[str, Any]:
        """Cursor of the source."""
        return self.source.state_dict()

    def seek(self, cursor: dict[str, Any]) -> None:
        """Move the source to a saved cursor."""
        self.source.load_state_dict(cursor)
