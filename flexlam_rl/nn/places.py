"""Locations of checkpoints, and devices for their weights."""

from pathlib import Path

import torch
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names it and what is wrong."""


def usable_device(device: str | torch.device | int) -> torch.device:
    """Give the torch device of that name.

    Raises:
        ValueError: There is no such device here, or it is "meta", which holds no numbers.
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        if isinstance(device, str | torch.device) and str(device).startswith("cuda") and not torch.cuda.is_available():
            raise ValueError(f"device is {str(device)!r}, but torch finds no GPU.") from None
        raise ValueError(
            f"device is {device!r}, which torch does not have here: {str(error).splitlines()[0]}"
        ) from None
    if found.type == "meta":
        raise ValueError("device is 'meta', which holds no numbers; expected 'cpu', 'cuda', ...")
    return found


def local_folder(name: str | Path) -> Path | None:
    """Give the folder of that name, or None if the name may be a hub repository, "owner/name".

    Raises:
        CheckpointError: The name is neither.
    """
    if not isinstance(name, str | Path) or not str(name).strip():
        raise CheckpointError(f"The checkpoint's name is {name!r}; expected a folder or a hub repository.")
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # "~name" of a user whom the system does not know
        folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise CheckpointError(f"{folder} is a file; expected the folder that holds the checkpoint.")
    try:
        validate_repo_id(str(name))
    except HFValidationError:
        raise CheckpointError(f"There is no folder {str(name)!r}.") from None
    return None


def not_on_hub(name: str, error: Exception) -> CheckpointError:
    """Make the error to raise after the hub client has raised `error`."""
    why = (str(error).splitlines() or [type(error).__name__])[0]
    return CheckpointError(f"{name!r} is neither a folder nor a hub repository that can be reached: {why}")
