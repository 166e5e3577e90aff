"""What actions of different worlds have in common: their names."""

from flexlam_rl.envs.domain import DOMAINS
from flexlam_rl.envs.spec import EnvSpec

_FILLING = {"and", "strafe"}


def action_names(spec: EnvSpec) -> tuple[str, ...]:
    """Name each action of a record's action set in words that all worlds share ("forward turn left").

    Returns:
        One name per action; none where the world has no words for its actions, or they are no choices.
    """
    if spec.domain not in DOMAINS.names():
        return ()  # imported data of a world that is not installed
    labels = getattr(DOMAINS.get(spec.domain), "action_labels", None)
    return tuple(map(_plain, labels(spec))) if labels else ()


def _plain(label: str) -> str:
    return " ".join(word for word in label.split() if word not in _FILLING)
