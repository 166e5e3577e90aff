"""How an episode stands after a step."""

RUNNING, TERMINATED, TRUNCATED = range(3)
