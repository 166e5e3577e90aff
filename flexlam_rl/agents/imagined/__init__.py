"""Environments made of a world model: `gym.make("FlexLAM-Imagined-v0", model=PATH, starts=DATA)`."""
