"""`Stage`: what the training loop trains, and `SourceStage`, which most stages derive from."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.train.source import Source, to_device


class Stage(Protocol):
    """What a stage gives to the loop."""

    name: str
    grows_at: int | None
    """Step from which on steps cost more, as where a curriculum grows; None for none."""

    def saved(self) -> dict[str, PretrainedModel]:
        """What is written to best/<name> and last/<name> at an evaluation."""
        ...

    def trained(self) -> dict[str, nn.Module]:
        """Modules with parameters that train, by name."""
        ...

    def compile(self) -> None:
        """Let torch compile what does most of the arithmetic."""
        ...

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """The next batch on `device`."""
        ...

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss and figures to log; all randomness from `generator`."""
        ...

    def evaluate(self, device: str) -> dict[str, float]:
        """Figures on held-out data; "loss" chooses the best checkpoint. Must be deterministic."""
        ...

    def sheet(self, path: Path) -> None:
        """Draw a sample sheet to `path`, where the stage has something to show."""
        ...

    def cursor(self) -> dict[str, Any]:
        """Where the data stands, as JSON."""
        ...

    def seek(self, cursor: dict[str, Any]) -> None:
        """Go back to a saved cursor."""
        ...


class SourceStage:
    """A stage whose batches come from one source: all but the models, `loss` and `evaluate`.

    Args:
        models: What trains and is saved, by name.
        source: Batches.
        frozen: Models that are asked and do not train.
    """

    grows_at: int | None = None

    def __init__(self, models: dict[str, PretrainedModel], source: Source, *frozen: PretrainedModel) -> None:
        self.models, self.source, self.frozen = models, source, frozen

    def saved(self) -> dict[str, PretrainedModel]:
        """All that trains."""
        return self.models

    def trained(self) -> dict[str, nn.Module]:
        """The models."""
        return dict(self.models)

    def compile(self) -> None:
        """Compile the heavy parts of all models."""
        for model in (*self.models.values(), *self.frozen):
            model.compile_parts()

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """The source's next batch."""
        return to_device(self.source.next(), device)

    def sheet(self, path: Path) -> None:
        """Nothing to show."""

    def cursor(self) -> dict[str, Any]:
        """The source's."""
        return self.source.state_dict()

    def seek(self, cursor: dict[str, Any]) -> None:
        """Move the source."""
        self.source.load_state_dict(cursor)
