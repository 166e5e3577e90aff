"""The audit: what latent actions encode, on litelab, where actions, pose, depth and exogenous changes are known."""
