"""Rewards from video: a model's likelihood of the frames (VIPER), curiosity bonuses, and a discriminator."""

from flexlam_rl.utils.lazy import lazy_names

_WHERE = {
    "AdversarialImitation": "agents.rewards.adversarial",
    "Disagreement": "agents.rewards.bonuses",
    "FlexLAMDensity": "agents.rewards.flexlam_density",
    "RandomNetworkDistillation": "agents.rewards.bonuses",
    "VectorViperReward": "agents.rewards.viper",
    "ViperReward": "agents.rewards.viper",
    "WindowDensity": "agents.rewards.window_density",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
