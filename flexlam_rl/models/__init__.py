"""Models, one folder per system. They know nothing of environments."""
