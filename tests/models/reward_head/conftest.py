"""Rollouts on disk."""

from tests.train.conftest import rollouts

__all__ = ["rollouts"]
