"""Names that become folders: levels, splits, label sets."""

from typing import Any

from flexlam_rl.envs.domains.dmlab.levels import DMLAB_PREFIX


def level_folder(level: Any) -> str:
    """The folder of a level: its name, without the `contributed/dmlab30/` that environments take too.

    Raises:
        ValueError: It is no name of a single folder.
    """
    return folder_name(level.removeprefix(DMLAB_PREFIX) if isinstance(level, str) else level, "level")


def split_name(split: Any) -> str:
    """The name of a split.

    Raises:
        ValueError: It is no name of a single folder.
    """
    return folder_name(split, "split")


def folder_name(name: Any, what: str) -> str:
    """A name that is to be a folder.

    Raises:
        ValueError: It is no text, empty, or would be another folder.
    """
    if not isinstance(name, str) or not name.strip(".") or name == "zarr.json" or any(sign in name for sign in "/\\\0"):
        raise ValueError(f"The {what} {name!r} cannot name a folder: expected one name, without slashes.")
    return str(name)
