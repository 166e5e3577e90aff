"""Rules of the levels, one file a family."""
