"""Worlds: each is one family of tasks (see `flexlam_rl.envs.domain`)."""
