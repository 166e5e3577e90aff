"""Files of a policy's snapshot: arrays and tensors, nested in dictionaries and lists, in the safetensors format, with
JSON values in its header.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import write_atomically

FORMAT = "1"
_ARRAY, _TENSOR = "$array", "$tensor"


def write_snapshot(path: Path, content: Any) -> int:
    """Write a snapshot atomically.

    Args:
        path: The file.
        content: Dictionaries with strings as keys, lists, NumPy arrays, torch tensors and JSON values.

    Returns:
        The number of bytes written.

    Raises:
        TypeError: The content holds a value of another type.
        OSError: The file cannot be written.
    """
    found: dict[str, Any] = {}
    record = _taken_apart(content, found, "")
    header = {"format": FORMAT, "torch": str(_holds_tensors(found)), "record": json.dumps(record, allow_nan=False)}
    if _holds_tensors(found):
        import torch
        from safetensors.torch import save

        tensors = {
            name: (value.detach().cpu() if _is_tensor(value) else torch.from_numpy(value)).contiguous()
            for name, value in found.items()
        }
        data = save(tensors, metadata=header)
    else:
        from safetensors.numpy import save as save_arrays

        data = save_arrays(found, metadata=header)
    write_atomically(path, data)
    return len(data)


def read_snapshot(path: Path) -> Any:
    """Read a file of `write_snapshot`; tensors are on the CPU, and tuples have become lists.

    Raises:
        StoreError: The file is damaged, or it is not a snapshot.
        OSError: The file cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with safe_open(path, "np") as file:
            header = file.metadata() or {}
        if header.get("format") != FORMAT:
            raise StoreError(f"{path} has format {header.get('format')!r} of a snapshot; this version reads {FORMAT}.")
        with safe_open(path, "pt" if header["torch"] == "True" else "np") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return _put_together(json.loads(header["record"]), found)
    except (SafetensorError, KeyError, ValueError) as error:
        raise StoreError(f"{path} is damaged: it is not a complete snapshot ({error}).") from None


def _is_tensor(value: Any) -> bool:
    return not isinstance(value, np.ndarray) and hasattr(value, "detach")


def _holds_tensors(found: dict[str, Any]) -> bool:
    return any(map(_is_tensor, found.values()))


def _taken_apart(content: Any, found: dict[str, Any], place: str) -> Any:
    """Replace each array and tensor of `content` by a name, and put it into `found`."""
    if isinstance(content, dict):
        return {name: _taken_apart(value, found, f"{place}/{name}") for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_taken_apart(value, found, f"{place}/{i}") for i, value in enumerate(content)]
    if isinstance(content, np.ndarray):
        found[place] = np.ascontiguousarray(content)
        return {_ARRAY: place}
    if _is_tensor(content):
        found[place] = content
        return {_TENSOR: place}
    return content


def _put_together(record: Any, found: dict[str, Any]) -> Any:
    if isinstance(record, list):
        return [_put_together(value, found) for value in record]
    if not isinstance(record, dict):
        return record
    if _ARRAY in record:
        value = found[record[_ARRAY]]
        return value.numpy() if _is_tensor(value) else value
    return found[record[_TENSOR]] if _TENSOR in record else {k: _put_together(v, found) for k, v in record.items()}
