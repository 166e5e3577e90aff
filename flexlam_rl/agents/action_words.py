"""Actions in words, for people who look at an episode."""

from typing import Any

import numpy as np

from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec


def action_in_words(action: Any, spec: EnvSpec) -> str:
    """Name an action of an environment: in words where its domain has them, else in numbers.

    Args:
        action: As `step` takes it.
        spec: The environment's record.
    """
    labels = getattr(find_domain(spec.domain), "action_labels", None)
    words = labels(spec) if labels else ()
    if words:
        return str(words[int(action)])
    return "action " + " ".join(f"{number:.3g}" for number in np.atleast_1d(action).tolist())
