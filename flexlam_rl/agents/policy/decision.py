"""What a policy reports about its last step.

Legend: `n` environments, `K` budget, `d` numbers per slot.
"""

from dataclasses import dataclass

import numpy as np

PARTS = ("encode", "context", "generate", "translate")


@dataclass(frozen=True)
class Decision:
    """The last step of a policy.

    Attributes:
        budgets: K of each environment, (n,) int64; 0 where a rule chooses it and the environment does not play.
        codes: Codes, (n, largest K) int64, with -1 after an environment's own K and where it does not play. Continuous
            latent actions have vectors (n, largest K, d) instead, with NaN in these places.
        probabilities: Probability of each code under the sequence model, given the codes before it, (n, largest K)
            float32; NaN where there is none, as for a continuous prior.
        seconds: Wall-clock time of the parts of the step ("encode", "context", "generate", "translate"), summed over
            chunks, and "total".
        rule: Source of the budgets: "given", "random", or the name of the rule that chose them.
        tolerance: Tolerance of that rule; None without one.
        estimates: The rule's estimate of what is missing after each k, (n, largest K) float32; NaN where it was not
            asked. None without a rule.
        history: Number of codes of each environment's last transition that later decisions see, (n,) int64, 0 where
            there is none; None if they see whole blocks.
    """

    budgets: np.ndarray
    codes: np.ndarray
    probabilities: np.ndarray
    seconds: dict[str, float]
    rule: str = "given"
    tolerance: float | None = None
    estimates: np.ndarray | None = None
    history: np.ndarray | None = None

    @property
    def reasons(self) -> list[str]:
        """Reason for each environment's K, in words."""
        if self.estimates is None or self.tolerance is None:
            return [self.rule] * len(self.budgets)
        return [
            "not playing" if k == 0
            else f"{self.rule} {row[k - 1]:.3g} < {self.tolerance:g} after {k}" if row[k - 1] < self.tolerance
            else f"{self.rule} never < {self.tolerance:g}"
            for k, row in zip(self.budgets.tolist(), self.estimates, strict=True)
        ]  # fmt: skip


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a copy that cannot be written to, because a change of it would have no effect."""
    copied = values.copy()
    copied.flags.writeable = False
    return copied
