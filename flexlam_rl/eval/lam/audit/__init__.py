"""What latent actions are made of, on litelab, where actions, pose, depth and what is exogenous are known."""
