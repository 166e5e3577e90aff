"""Improving a policy by reward: `plan` what trains, `worlds` where, `players` who plays the result.

A prior has `recipe` its options, `play` rollouts, `windows` what a decision saw, `update` PPO, `training` a run.
"""
