"""Wrappers for Gymnasium environments."""

from flexlam_rl.utils.lazy import lazy_names

_WHERE = {
    "AsymmetricRewardClipping": "envs.wrappers.reward_clipping",
    "InstructionTokens": "envs.wrappers.instructions",
    "LastAction": "envs.wrappers.last_action",
    "LastReward": "envs.wrappers.last_reward",
    "VectorAsymmetricRewardClipping": "envs.wrappers.reward_clipping",
    "VectorInstructionTokens": "envs.wrappers.instructions",
    "VectorLastAction": "envs.wrappers.last_action",
    "VectorLastReward": "envs.wrappers.last_reward",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
