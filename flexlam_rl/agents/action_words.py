"""Names of actions, for people who look at an episode."""

from typing import Any

import numpy as np

from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec


def action_in_words(action: Any, spec: EnvSpec) -> str:
    """Name an action: by the words that its domain has for it, or by its numbers where the domain has none.

    Args:
        action: The action, in the form that `step` takes.
        spec: The environment's record.

    Returns:
        The words, or "action" and the numbers to three digits.
    """
    labels = getattr(find_domain(spec.domain), "action_labels", None)
    words = labels(spec) if labels else ()
    if words:
        return str(words[int(action)])
    return "action " + " ".join(f"{number:.3g}" for number in np.atleast_1d(action).tolist())
