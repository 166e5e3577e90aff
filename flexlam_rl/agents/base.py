"""The environment of this project behind wrappers; the functions are those of `flexlam_rl.envs.base`."""

from flexlam_rl.envs.base import action_count, base_env, batch_size

__all__ = ["action_count", "base_env", "batch_size"]
