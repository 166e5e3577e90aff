"""The latent action models of the study by name: flexlam, flexlam-mixed, flexlam64, fixed4, fixed2-fsq5.

A *column* is a model at a budget: flexlam-mixed@16, fixed4@4.
"""

import re
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"(flexlam|fixed)([1-9]\d*)?(-mixed)?(?:-fsq(\d+(?:x\d+)*))?")
EXPECTED = "as in flexlam, flexlam-mixed, flexlam64, fixed4, fixed2-fsq5"


@dataclass(frozen=True)
class Variant:
    """A kind of latent action model."""

    name: str
    fixed: bool
    """Whether it is a Fixed-K model."""
    slots: int | None
    """Number of slots, M; None for the preset's."""
    mixed: bool
    """Whether half of the prefix lengths are drawn log-uniformly; in the paper, all are uniform."""
    levels: tuple[int, ...] | None
    """FSQ levels; None for the preset's."""

    @property
    def title(self) -> str:
        """Name of the model in tables and plots."""
        if self.fixed:
            return f"Fixed-{self.slots}" + (f", FSQ {list(self.levels)}" if self.levels else "")
        wide = f", M = {self.slots}" if self.slots else ""
        return "FlexLAM" + (", half log-uniform" if self.mixed else "") + wide

    def budgets(self, asked: list[int]) -> list[int]:
        """Return the budgets that the model is measured at: a Fixed-K model's own; for FlexLAM those asked for, and M
        if that is not the preset's.
        """
        if self.slots is None:
            return list(asked)
        return [self.slots] if self.fixed else sorted({*(k for k in asked if k <= self.slots), self.slots})

    def lam_options(self) -> dict[str, Any]:
        """Return the options of `flexlam train lam` that make the model."""
        return {
            "fixed": self.slots if self.fixed else None,
            "lam_slots": None if self.fixed else self.slots,
            "fsq_levels": self.levels,
            "prefix_distribution": "mixed" if self.mixed else "uniform",
        }


def variant(name: str) -> Variant:
    """Read the name of a model.

    Raises:
        ValueError: It is not the name of a model.
    """
    found = _NAME.fullmatch(name)
    if found is None or (found[1] == "fixed" and (found[2] is None or found[3] is not None)):
        raise ValueError(f"models has {name!r}; expected names {EXPECTED}.")
    levels = None if found[4] is None else tuple(map(int, found[4].split("x")))
    return Variant(name, found[1] == "fixed", None if found[2] is None else int(found[2]), found[3] is not None, levels)


def column(text: str) -> tuple[Variant, int]:
    """Read a model and its budget, as in fixed4@4.

    Raises:
        ValueError: The text has another form, or the model does not have that many slots.
    """
    name, at, budget = text.partition("@")
    model = variant(name)
    if not at or not budget.isdecimal() or int(budget) < 1:
        raise ValueError(f"{text!r} names no model at a budget; expected it as in flexlam@16.")
    k = int(budget)
    if model.slots is not None and (k > model.slots or (model.fixed and k != model.slots)):
        raise ValueError(f"{text!r}: {model.title} has no budget {k}; expected {model.slots}.")
    return model, k
