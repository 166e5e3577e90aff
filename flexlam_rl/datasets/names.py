"""Checks of names that become folders: levels, splits, extra columns."""

from typing import Any

from flexlam_rl.envs.domains.dmlab.levels import DMLAB_PREFIX


def level_folder(level: Any) -> str:
    """Find the folder of a level: its name, without the prefix `contributed/dmlab30/` that environments also accept.

    Raises:
        ValueError: The level cannot be the name of a folder.
    """
    return folder_name(level.removeprefix(DMLAB_PREFIX) if isinstance(level, str) else level, "level")


def split_name(split: Any) -> str:
    """Check the name of a split and return it.

    Raises:
        ValueError: The split cannot be the name of a folder.
    """
    return folder_name(split, "split")


def folder_name(name: Any, what: str) -> str:
    """Check a name that becomes a folder and return it.

    Args:
        name: The name.
        what: What the name stands for, in the error.

    Raises:
        ValueError: The name is not a text, is empty or has only dots, contains a slash, or is "zarr.json".
    """
    if not isinstance(name, str) or not name.strip(".") or name == "zarr.json" or any(sign in name for sign in "/\\\0"):
        raise ValueError(f"The {what} {name!r} cannot name a folder: expected one name, without slashes.")
    return str(name)
