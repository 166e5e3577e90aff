"""The toy world."""

from tests.agents.toy_world import toy

__all__ = ["toy"]
