"""Rewards of transitions, learned from rollouts that have some. See README.md beside this file."""

from flexlam_rl.models.systems import System

SYSTEM = System(
    "a head from two frames to the reward between them, for environments that a model imagines",
    {"RewardHead": "flexlam_rl.models.reward_head.model"},
)
