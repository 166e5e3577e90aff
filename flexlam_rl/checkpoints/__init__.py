"""The checkpoints that come with the package."""

from pathlib import Path

BUNDLED = Path(__file__).parent / "litelab-tiny"
"""Folder of the default bundle."""


def bundled() -> bool:
    """Whether it is there."""
    return (BUNDLED / "config.json").is_file()
