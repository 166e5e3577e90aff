"""Collecting rollouts: which episodes are played, where they are played, and how they are stored."""
