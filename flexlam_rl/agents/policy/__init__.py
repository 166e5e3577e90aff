"""Policies: the latent action policy, its bundles, and the control policies that it is compared with."""

from flexlam_rl.utils.lazy import lazy_names

_WHERE = {
    "Decision": "agents.policy.latent_action",
    "LatentActionPolicy": "agents.policy.latent_action",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
