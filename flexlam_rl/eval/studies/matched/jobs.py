"""The jobs of the study, in the order in which they are done."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from flexlam_rl.eval.studies.matched.options import Choice
from flexlam_rl.eval.studies.matched.variants import Variant


@dataclass(frozen=True)
class Job:
    """A model of one seed, or something that is made from it and measured."""

    part: Literal["LAM", "sequence", "translator", "oracle", "chain", "audit"]
    model: Variant
    seed: int
    labels: str = ""
    amount: int = 0
    budgets: tuple[int, ...] = ()
    """Budgets that are played."""

    @property
    def run(self) -> str:
        """Name of the model's folder: flexlam-mixed-seed0."""
        return f"{self.model.name}-seed{self.seed}"

    @property
    def aligned(self) -> str:
        """Name of a translator's folder within it: narrow-x16."""
        return f"{self.labels}-x{self.amount}"

    @property
    def name(self) -> str:
        """Name of the job and of its rows."""
        if self.part in ("LAM", "sequence", "audit"):
            return f"{self.run}-{self.part.lower()}"
        return f"{self.run}-{self.aligned}" + ("" if self.part == "translator" else f"-{self.part}")

    @property
    def kind(self) -> str:
        """Kind of the job; jobs of one kind take about the same time per step or episode."""
        slots = f" of {self.model.slots} slots" if (self.model.slots or 0) > 16 else ""
        names = {"LAM": f"LAM{slots}", "sequence": f"sequence model{slots}", "oracle": "oracle play", "chain": "play"}
        return names.get(self.part, self.part)


def all_jobs(choice: Choice) -> Iterator[Job]:
    """Return all jobs, seed by seed, so that a stopped study has whole comparisons."""
    for seed in choice.seeds:
        for model in choice.models:
            lam = Job("LAM", model, seed)
            yield lam
            if choice.layer == "chain":
                yield replace(lam, part="sequence")
            if choice.layer == "audit":
                yield replace(lam, part="audit", budgets=tuple(model.budgets(choice.budgets)))
                continue
            for labels, amount, budgets in choice.cells(model):
                aligned = replace(lam, part="translator", labels=labels, amount=amount, budgets=tuple(budgets))
                yield aligned
                if choice.layer != "latents":
                    yield replace(aligned, part=choice.layer)  # type: ignore[arg-type]
