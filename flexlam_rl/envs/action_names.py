"""Names of actions in words that all worlds share."""

from flexlam_rl.envs.domain import DOMAINS
from flexlam_rl.envs.spec import EnvSpec

_FILLING = {"and", "strafe"}


def action_names(spec: EnvSpec) -> tuple[str, ...]:
    """Name each action of an environment record's action set in words that all worlds share ("forward turn left").

    Returns:
        One name per action. The tuple is empty if the world has no names for its actions or they are not discrete.
    """
    if spec.domain not in DOMAINS.names():
        return ()  # data that was imported from a world that is not installed
    labels = getattr(DOMAINS.get(spec.domain), "action_labels", None)
    return tuple(map(_plain, labels(spec))) if labels else ()


def _plain(label: str) -> str:
    return " ".join(word for word in label.split() if word not in _FILLING)
