"""Improving a policy by reward.

`plan` says what trains, `worlds` in what, and `players` play the result. The training of a prior consists of `recipe`
(options), `play` (rollouts), `windows` (what decisions saw), `update` (PPO) and `training` (the run).
"""
