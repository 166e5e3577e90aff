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
        budgets: (n,) int64, each environment's K.
        codes: (n, largest K) int64; -1 after an environment's own K, and where it does not play. Where latent actions
            are continuous, vectors (n, largest K, d), and NaN there.
        probabilities: (n, largest K) float32, of each code under the sequence model given those before it; NaN where
            there is none, as of a continuous prior.
        seconds: Wall-clock of the parts of the step ("encode", "context", "generate", "translate"), summed over chunks,
            and "total".
    """

    budgets: np.ndarray
    codes: np.ndarray
    probabilities: np.ndarray
    seconds: dict[str, float]


def read_only(values: np.ndarray) -> np.ndarray:
    """A copy that refuses to be written to: a change of it would change nothing."""
    copied = values.copy()
    copied.flags.writeable = False
    return copied
