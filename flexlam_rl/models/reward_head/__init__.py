"""Rewards of transitions, learned from rollouts with rewards. See README.md beside this file."""

from flexlam_rl.models.systems import System

SYSTEM = System(
    "a head from two frames to the reward between them, for environments that a model imagines",
    {"RewardHead": "flexlam_rl.models.reward_head.model"},
)
