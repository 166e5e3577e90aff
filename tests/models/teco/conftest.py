"""Rollouts on disk for the stages' tests."""

from tests.train.conftest import rollouts

__all__ = ["rollouts"]
