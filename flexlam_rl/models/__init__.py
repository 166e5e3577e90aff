"""Models, one folder per system. They do not depend on environments."""
