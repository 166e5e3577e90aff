"""Stage 3: the translator on few labels, and the stages that share its data: joint alignment and models without codes
(paper, sections 4.2 and 6.3).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.flexlam.budgets import budgets
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.action_head import action_figures, action_losses, action_recalls
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.train.actions import Labels
from flexlam_rl.train.source import ArraySource, to_device
from flexlam_rl.train.stage import SourceStage


class LabelStage(SourceStage):
    """Base of the stages on labels: batches come from memory."""

    def __init__(
        self,
        models: dict[str, PretrainedModel],
        labels: Labels,
        held_out: Labels,
        batch: int,
        seed: int,
        *frozen: PretrainedModel,
    ) -> None:
        super().__init__(models, ArraySource(labels, batch, seed), *frozen)
        self.held_out = held_out


class TranslatorStage(LabelStage):
    """Trains the translator on a LAM, which is frozen, or is updated by the action loss if `joint` (encoder and
    bottleneck; the decoder is not needed).
    """

    def __init__(
        self,
        model: Translator,
        lam: SlotModel,
        labels: Labels,
        held_out: Labels,
        batch: int,
        seed: int,
        joint: bool = False,
        prefix_distribution: PrefixDistribution = "uniform",
        balance: bool = False,
    ) -> None:
        weights = {"weight": balanced_weights(labels["action"], model.config.actions)} if balance else {}
        # a frozen LAM gives the same slots for a label each time, so each label is encoded once
        numbered = {**labels, **weights, "row": np.arange(len(labels["action"]))}
        models: dict[str, PretrainedModel] = {"translator": model, **({"lam": lam} if joint else {})}
        super().__init__(models, numbered, held_out, batch, seed, *(() if joint else (lam,)))
        self.labels = labels
        self.vectors: dict[str, Tensor] = {}
        if (model.config.slots, model.config.prefix) != (lam.config.slots, lam.config.prefix):
            raise ValueError(
                f"the translator is for {model.config.slots} slots (prefix {model.config.prefix}), "
                f"the LAM has {lam.config.slots} (prefix {lam.config.prefix})."
            )
        self.model, self.lam, self.joint = model, lam, joint
        self.prefix_distribution = prefix_distribution
        self.name = "joint" if joint else "translator"
        lam.requires_grad_(False)
        if joint:
            lam.encoder.requires_grad_(True)
            lam.null.requires_grad_(lam.config.prefix)

    @torch.no_grad()
    def _encoded(self, part: str, labels: Labels, device: str) -> Tensor:
        """Slot vectors (N, M, d) of the frozen LAM for all labels of a part."""
        if part not in self.vectors:
            self.lam.to(device)
            chunks = (
                to_device({k: labels[k][i : i + 256] for k in ("obs", "next_obs")}, device)
                for i in range(0, len(labels["action"]), 256)
            )
            self.vectors[part] = torch.cat([self.lam.quantize(chunk["obs"], chunk["next_obs"])[0] for chunk in chunks])
        return self.vectors[part]

    def next_batch(self, device: str) -> dict[str, Tensor]:
        batch = super().next_batch(device)
        rows = batch.pop("row")
        return batch if self.joint else batch | {"vectors": self._encoded("train", self.labels, device)[rows]}

    def slots(self, batch: dict[str, Tensor], lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Null-filled slots (B, M, d) of the batch's transitions; controls also draw from the step's `generator`."""
        vectors = batch["vectors"] if "vectors" in batch else self.lam.quantize(batch["obs"], batch["next_obs"])[0]
        return null_fill(vectors, lengths, self.lam.null)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        self.lam.to(batch["obs"].device)
        lengths = self.lam.lengths(len(batch["action"]), generator, self.prefix_distribution)
        outputs = self.model(self.slots(batch, lengths, generator), batch["previous"], batch["obs"])
        losses = action_losses(outputs, batch["action"], self.model.config.actions)
        return (losses * batch["weight"] if "weight" in batch else losses).mean(), {}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Translator loss, accuracy and mean recall as a function of K, and the recall of each action at the largest K;
        "loss" is the mean over the reported K >= 1.
        """
        self.lam.to(device)
        if self.joint:
            self.vectors.clear()
        batch = to_device(self.held_out, device) | {"vectors": self._encoded("held out", self.held_out, device)}
        figures: dict[str, float] = {}
        values = []
        for k in budgets(self.lam.config.slots)[1:] if self.lam.config.prefix else [self.lam.config.slots]:
            outputs = self.model(
                self.slots(batch, torch.full((len(batch["action"]),), k, device=device)),
                batch["previous"],
                batch["obs"],
            )
            figures |= {
                f"{name}_k{k}": value
                for name, value in scores(outputs, batch["action"], self.model.config.actions).items()
            }
            values.append(figures[f"loss_k{k}"])
        figures |= recalls(outputs, batch["action"], self.model.config.actions)
        figures["loss"] = sum(values) / len(values)
        return figures


class DirectStage(LabelStage):
    """Trains a model that maps frames and the previous action to actions, on the labels only: the IDM, behavior
    cloning, or frozen features.
    """

    def __init__(
        self,
        name: str,
        model: PretrainedModel,
        inputs: tuple[str, ...],
        labels: Labels,
        held_out: Labels,
        batch: int,
        seed: int,
    ) -> None:
        """
        Args:
            name: Name of the stage and of the model in its folder.
            model: The model that trains; its `config.actions` says what it predicts.
            inputs: Columns of the labels that it takes, in order.
            labels: Labels to train on.
            held_out: Labels to choose the best checkpoint by.
            batch: Examples per step.
            seed: Seed of their order.
        """
        super().__init__({name: model}, labels, held_out, batch, seed)
        self.name, self.model, self.inputs = name, model, inputs

    def outputs(self, batch: dict[str, Tensor]) -> Tensor:
        """Outputs of the model for a batch."""
        return self.model(*(batch[name] for name in self.inputs))

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return action_losses(self.outputs(batch), batch["action"], self.model.config.actions).mean(), {}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        batch, actions = to_device(self.held_out, device), self.model.config.actions
        outputs = self.outputs(batch)
        return scores(outputs, batch["action"], actions) | recalls(outputs, batch["action"], actions)


def scores(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> dict[str, float]:
    """Mean loss, the means of `action_figures`, and the mean recall of discrete actions."""
    figures = {"loss": action_losses(outputs, actions, spec), **action_figures(outputs, actions, spec)}
    scores = {name: float(values.mean()) for name, values in figures.items()}
    if spec.discrete:
        found = action_recalls(outputs, actions, spec).values()
        scores["recall"] = sum(found) / len(found)
    return scores


def recalls(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> dict[str, float]:
    """Recall of each discrete action as figures, "recall_7"; with several dimensions, "recall_7_0"."""
    if not spec.discrete:
        return {}
    return {
        "recall_" + "_".join(map(str, action)): value
        for action, value in action_recalls(outputs, actions, spec).items()
    }


def balanced_weights(actions: np.ndarray[Any, Any], spec: Any) -> np.ndarray[Any, Any]:
    """Weights of labels, 1 on average, that give every action that occurs the same sum: float32 (N,)."""
    _, which, counts = np.unique(actions[:, : len(spec.discrete)], axis=0, return_inverse=True, return_counts=True)
    return (len(actions) / (len(counts) * counts[which.reshape(-1)])).astype(np.float32)
