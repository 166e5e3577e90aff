"""Rollouts and options of a quick training, as the other models' tests have them."""

from tests.train.conftest import args, make_episode, make_rollouts, rollouts

__all__ = ["args", "make_episode", "make_rollouts", "rollouts"]  # fixtures
