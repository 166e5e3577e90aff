"""Helpers that all rooms use: files, errors, pictures, registries and the command line."""
