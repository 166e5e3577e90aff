"""What the translator's figures are compared with: the same translator on what tells less, or tells it in another way.

Kinds: "random", codes drawn uniformly, or numbers of other transitions each where latents are vectors; "shuffled", the
latents of another transition of the batch; "previous", the previous action alone, all slots null; "features", the
change of frozen visual features in place of the slots. Same labels, same loop, same choice of the best checkpoint as
the translator. Behaviour cloning is the stage `bc`.
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
    """A translator on codes that say nothing of the transition."""

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
        """Null-filled slots (B, M, d) of the control; fresh ones at each step, the same ones at each evaluation."""
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
