"""Rules that stop a decision once it has enough codes.

A rule gives, for a prefix of k codes, an estimate from 0 to 1 of how much is missing; a row stops at the first k whose
estimate is below the tolerance, and otherwise at M. With the tolerance 0, no row stops early. A rule sees only what
the prior has seen: frames up to now, past codes, and the codes generated so far.

Shapes: B rows, M slots, D width of the prior's state, H width of its state at a code, V codes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.adaptive.head import BudgetHead, entropy_share
from flexlam_rl.models.interfaces import BudgetRule
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.utils.budget_words import RULES, AutoBudget


class _Silent:
    """A rule that has no estimate at any moment."""

    def ahead(self, state: Tensor) -> Tensor | None:
        """See `BudgetRule`."""
        return None

    def after(self, k: int, hidden: Tensor, codes: Tensor) -> Tensor | None:
        """See `BudgetRule`."""
        return None

    def before(self, logits: Tensor) -> Tensor | None:
        """See `BudgetRule`."""
        return None


@dataclass(frozen=True)
class Regressed(_Silent):
    """Estimate the probability that k* is above k, from the prior's state before the first code."""

    tolerance: float
    head: BudgetHead
    name: str = "regressed"

    def ahead(self, state: Tensor) -> Tensor | None:
        """See `BudgetRule`."""
        return self.head.more_needed(state)


@dataclass(frozen=True)
class Change(_Silent):
    """Estimate the probability that the action of all M codes differs from that of the codes so far."""

    tolerance: float
    head: BudgetHead
    name: str = "change"

    def after(self, k: int, hidden: Tensor, codes: Tensor) -> Tensor | None:
        """See `BudgetRule`."""
        return self.head.change_chance(k, hidden, codes)


@dataclass(frozen=True)
class Entropy(_Silent):
    """Estimate from the entropy of the next code, as a share of its maximum: a code that is nearly certain adds little.

    It needs no training, but it costs the prediction of one more code, which is then not used.
    """

    tolerance: float
    name: str = "entropy"

    def before(self, logits: Tensor) -> Tensor | None:
        """See `BudgetRule`."""
        return entropy_share(logits)


def rule_of(asked: AutoBudget, head: BudgetHead | None, prior: PretrainedModel) -> BudgetRule:
    """Make the rule that an automatic budget names.

    Without a name, it is `Change` if there is a budget head, else `Entropy`.

    Raises:
        ValueError: The rule needs a head and there is none, or the prior does not make codes one after another.
    """
    if not hasattr(prior, "code_states"):
        raise ValueError(
            f"budget is '{asked}', but the prior makes all slots of a decision at once; expected a number, or a prior "
            "over codes."
        )
    name = asked.rule or ("entropy" if head is None else "change")
    if name == "entropy":
        return Entropy(asked.tolerance)
    if head is None:
        raise ValueError(
            f"budget is '{asked}', but this bundle has no budget head, which the rules {' and '.join(RULES[:2])} need: "
            "train one (flexlam train budget), or use auto:TOLERANCE:entropy."
        )
    return (Regressed if name == "regressed" else Change)(asked.tolerance, head)


class Stops:
    """Keeps track of which of B rows continue while a prior generates code by code.

    Args:
        rule: Decides when a row has enough codes.
        state: The prior's state (B, D).
        most: Largest number of codes of a row.
        wanted: bool (B,), rows whose codes are needed; the others stop after one code. None for all rows.

    Attributes:
        lengths: int64 (B,), number of codes of each row; `most` for rows that have not stopped.
        estimates: (B, most), the rule's estimate for each k; NaN where it gave none.
    """

    def __init__(self, rule: BudgetRule, state: Tensor, most: int, wanted: Tensor | None = None) -> None:
        self.rule = rule
        self.lengths = torch.full((len(state),), most, device=state.device)
        self.estimates = torch.full((len(state), most), float("nan"), device=state.device)
        if (known := rule.ahead(state)) is not None:
            self.estimates = known[:, :most].float()
            good = self.estimates < rule.tolerance
            self.lengths = torch.where(good.any(1), good.int().argmax(1) + 1, self.lengths)
        if wanted is not None:
            self.lengths = torch.where(wanted, self.lengths, 1)

    def before(self, k: int, logits: Tensor) -> bool:
        """Update from the logits of the code after the first k; returns whether no row needs that code."""
        return k > 0 and self._enough(k, self.rule.before(logits))

    def after(self, k: int, hidden: Tensor, codes: Tensor) -> bool:
        """Update from code k (B,) and the state (B, H) that predicted it; returns whether all rows have enough."""
        return k == self.estimates.shape[1] or self._enough(k, self.rule.after(k, hidden, codes))

    def _enough(self, k: int, estimates: Tensor | None) -> bool:
        if estimates is not None:
            self.estimates[:, k - 1] = estimates
            self.lengths = torch.where((estimates < self.rule.tolerance) & (self.lengths > k), k, self.lengths)
        return not bool((self.lengths > k).any())
