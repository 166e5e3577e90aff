"""Rules of the levels, one file per family."""
