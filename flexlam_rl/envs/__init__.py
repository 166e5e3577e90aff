"""Gymnasium environments: DeepMind Lab on litelab (the embedded engine) or on the real engine, ViZDoom, and wrappers.

Names are imported on first use.
"""

from flexlam_rl.utils.lazy import lazy_names

if not __name__.startswith("flexlam_rl."):  # run through a link at the root of a checkout
    from flexlam_rl.utils.checkout import leave_root

    leave_root()

_WHERE = {
    "ACTION_SETS": "envs.domains.dmlab.actions",
    "ActionSet": "envs.domains.dmlab.actions",
    "ActionSpec": "envs.spec",
    "AsymmetricRewardClipping": "envs.wrappers.reward_clipping",
    "DMLabEnv": "envs.domains.dmlab.env",
    "DMLabVectorEnv": "envs.domains.dmlab.vector",
    "DmEnvView": "envs.domains.dmlab.dm_view",
    "DOMAINS": "envs.domain",
    "Domain": "envs.domain",
    "EnvSpec": "envs.spec",
    "InstructionTokens": "envs.wrappers.instructions",
    "LEVELS": "envs.domains.dmlab.levels",
    "LastAction": "envs.wrappers.last_action",
    "LastReward": "envs.wrappers.last_reward",
    "LevelCache": "envs.domains.dmlab.level_cache",
    "SUITE": "envs.domains.dmlab.levels",
    "Task": "envs.domain",
    "VectorAsymmetricRewardClipping": "envs.wrappers.reward_clipping",
    "VectorInstructionTokens": "envs.wrappers.instructions",
    "VectorLastAction": "envs.wrappers.last_action",
    "VectorLastReward": "envs.wrappers.last_reward",
    "action_set": "envs.domains.dmlab.actions",
    "dm_env_view": "envs.domains.dmlab.dm_view",
    "env_spec_of": "envs.base",
    "find_domain": "envs.domain",
    "level_named": "envs.domains.dmlab.levels",
    "make_vector": "envs.domains.dmlab.vector",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
