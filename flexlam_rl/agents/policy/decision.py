"""What a policy tells of its last step.

Legend: `n` environments, `K` budget, `d` numbers per slot.
"""

from dataclasses import dataclass

import numpy as np

PARTS = ("encode", "context", "generate", "translate")


@dataclass(frozen=True)
class Decision:
    """The last step, on request.

    Attributes:
        budgets: (n,) int64, each environment's K; 0 where it was to be chosen and the environment does not play.
        codes: (n, largest K) int64; -1 after an environment's own K, and where it does not play. Where latent actions
            are continuous, vectors (n, largest K, d), and NaN there.
        probabilities: (n, largest K) float32, of each code under the sequence model given those before it; NaN where
            there is none, as of a continuous prior.
        seconds: Wall-clock of the parts of the step ("encode", "context", "generate", "translate"), summed over chunks,
            and "total".
        rule: Who set the budgets: "given", "random", or the rule that chose them.
        tolerance: Of that rule; None where there is none.
        estimates: (n, largest K) float32, the rule's estimate of what is missing after each k; NaN where it was not
            asked. None where there is no rule.
    """

    budgets: np.ndarray
    codes: np.ndarray
    probabilities: np.ndarray
    seconds: dict[str, float]
    rule: str = "given"
    tolerance: float | None = None
    estimates: np.ndarray | None = None

    @property
    def reasons(self) -> list[str]:
        """Why each environment has its K, in words."""
        if self.estimates is None or self.tolerance is None:
            return [self.rule] * len(self.budgets)
        return [
            "not playing" if k == 0
            else f"{self.rule} {row[k - 1]:.3g} < {self.tolerance:g} after {k}" if row[k - 1] < self.tolerance
            else f"{self.rule} never < {self.tolerance:g}"
            for k, row in zip(self.budgets.tolist(), self.estimates, strict=True)
        ]  # fmt: skip


def read_only(values: np.ndarray) -> np.ndarray:
    """A copy that refuses to be written to: a change of it would change nothing."""
    copied = values.copy()
    copied.flags.writeable = False
    return copied
