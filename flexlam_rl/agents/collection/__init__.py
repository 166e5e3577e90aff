"""Collecting rollouts: which episodes are played, where, and how they reach the disk."""
