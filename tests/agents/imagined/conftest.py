"""The toy world, and rollouts on disk."""

from tests.agents.toy_world import toy
from tests.train.conftest import rollouts

__all__ = ["rollouts", "toy"]
