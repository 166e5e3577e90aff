"""Acting by looking ahead in a world model."""
