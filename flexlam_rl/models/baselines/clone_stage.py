"""Stage that clones all actions of a video that the expert chose.

Shapes: B windows, T rows of a window, A actions.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.datasets import Windows
from flexlam_rl.datasets.marks import EXPERT_CHOSE
from flexlam_rl.datasets.samplers import Data
from flexlam_rl.models.baselines.clone import Clone
from flexlam_rl.train.data import FrameSource
from flexlam_rl.train.source import to_device
from flexlam_rl.train.stage import SourceStage

FIELDS = ("action", "previous_action", EXPERT_CHOSE)


class WindowSource:
    """Shuffled windows of frames and actions."""

    def __init__(self, windows: Windows, batch: int, seed: int = 0) -> None:
        self.source = FrameSource(windows, batch, seed)

    def next(self) -> dict[str, Any]:
        """Give the next batch."""
        return self.source.next()

    def state_dict(self) -> dict[str, Any]:
        """Give the cursor."""
        return self.source.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a cursor."""
        self.source.batches.load_state_dict(state)


def windows(data: Data, length: int, within: Sequence[tuple[int, int]] | None = None) -> Windows:
    """Make the windows that a clone is trained on.

    Args:
        data: Rollouts with discrete actions.
        length: T.
        within: Range of rows of each store that windows are taken from; None for all rows.
    """
    return Windows(data, length, FIELDS, within=within)


class CloneStage(SourceStage):
    """Trains by cross-entropy to the expert's actions; actions that others chose are only seen as previous actions."""

    name = "clone"

    def __init__(self, model: Clone, source: Any, held_out: dict[str, Tensor]) -> None:
        """
        Args:
            model: The clone, which trains.
            source: Batches as from `windows`.
            held_out: Windows that are never trained on, as tensors, with frames (B, T, C, H, W).
        """
        super().__init__({"clone": model}, source)
        self.model, self.held_out = model, held_out

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        logits, targets, chosen = self._outputs(batch)
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
        hits = (logits.argmax(-1) == targets).float()
        count = chosen.sum().clamp(min=1)
        return (losses * chosen).sum() / count, {"accuracy": (hits * chosen).sum() / count}

    def _outputs(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, T, A), actions (B, T), and a mask (B, T) that is 1.0 where an action is a target."""
        action, none = batch["action"].long(), self.model.none
        previous = torch.cat([batch["previous_action"].long()[:, None], action[:, :-1]], 1)
        logits, _ = self.model(batch["frames"], torch.where(previous < 0, none, previous))
        return logits.float(), action.clamp(min=0), (batch[EXPERT_CHOSE] & (action >= 0)).float()

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Evaluate on held-out windows: "loss" (negative log-likelihood in nats), "accuracy", "accuracy_changes" where
        the action differs from the previous one, and the number of "targets".
        """
        rows = []
        for first in range(0, len(self.held_out["frames"]), 16):
            batch = to_device({name: values[first : first + 16] for name, values in self.held_out.items()}, device)
            logits, targets, chosen = self._outputs(batch)
            losses = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
            before = torch.cat([batch["previous_action"].long()[:, None], batch["action"].long()[:, :-1]], 1)
            changes = (targets != before).float() * chosen
            hits = (logits.argmax(-1) == targets).float()
            sums = (losses * chosen, hits * chosen, hits * changes, chosen, changes)
            rows.append(torch.stack([part.double().sum() for part in sums]).cpu())
        loss, hit, hit_changes, count, changed = torch.stack(rows).sum(0).tolist()
        return {
            "loss": loss / max(count, 1),
            "accuracy": hit / max(count, 1),
            "accuracy_changes": hit_changes / max(changed, 1),
            "targets": count,
        }
