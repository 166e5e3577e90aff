"""Controls for the translator: the same translator on inputs with less information, or with other information.

Kinds: "random", codes drawn uniformly, or, for continuous latents, numbers that each come from another transition;
    "shuffled", the latents of another transition of the batch; "previous", only the previous action, with all slots
    null; "features", the change of frozen visual features instead of the slots. Labels, loop and choice of the best
    checkpoint are those of the translator. Behavior cloning is the stage `bc`.
"""

from typing import Literal

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.stages.translator import TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.other_rows import of_other_rows, random_latents
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill
from flexlam_rl.train.actions import Labels

CodeKind = Literal["random", "shuffled", "previous"]
CODE_KINDS: tuple[CodeKind, ...] = ("random", "shuffled", "previous")


class ControlStage(TranslatorStage):
    """Trains a translator on codes that say nothing about the transition."""

    def __init__(
        self,
        kind: CodeKind,
        model: Translator,
        lam: SlotModel,
        labels: Labels,
        held_out: Labels,
        batch: int,
        seed: int,
        prefix_distribution: PrefixDistribution = "uniform",
    ) -> None:
        super().__init__(model, lam, labels, held_out, batch, seed, prefix_distribution=prefix_distribution)
        self.kind, self.name = kind, kind

    def slots(self, batch: dict[str, Tensor], lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Null-filled slots (B, M, d) of the control: new ones at each step, the same ones at each evaluation."""
        device = batch["action"].device
        generator = generator or torch.Generator(device).manual_seed(0)
        rows, m = len(batch["action"]), self.lam.config.slots
        if self.kind == "previous":
            return self.lam.null.detach().expand(rows, m, -1)
        if self.kind == "shuffled":
            return null_fill(of_other_rows(batch["vectors"], generator), lengths, self.lam.null)
        count = self.lam.latent.codes
        if count is None:
            vectors = random_latents(batch["vectors"], None, generator)
        else:
            codes = torch.empty(rows, m, dtype=torch.long, device=device)
            vectors = self.lam.embed(random_latents(codes, count, generator))
        return null_fill(vectors, lengths, self.lam.null)
