"""States of an episode after a step."""

RUNNING, TERMINATED, TRUNCATED = range(3)
