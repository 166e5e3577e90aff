"""Conversion of parquet columns to arrays without losing or changing a value."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flexlam_rl.datasets.formats.parquet.files import exported_from
from flexlam_rl.utils.numbers import exact

REQUIRED = ("observation", "action", "reward", "terminated", "truncated")
# columns that our own exports add for data that has no place in the layout
OWN = ("episode_index", "episode_seed", "episode_key", "action_native")
EPISODE = ("episode_index", "episode_id", "episode")  # in any file, an episode ends where this number changes


@dataclass(frozen=True)
class Layout:
    """Columns of a set of files.

    Attributes:
        names: Names of all columns, in order.
        extra: Type and row shape of the columns that become extra columns of the store.
        own: Columns of `OWN` that our own export wrote.
        episode: Column with the number of the episode; None if there is none.
    """

    names: tuple[str, ...]
    extra: dict[str, tuple[str, tuple[int, ...]]]
    own: frozenset[str]
    episode: str | None


def read_layout(paths: list[Path]) -> Layout:
    """Read the columns of files that make up one store.

    Raises:
        ValueError: A column is missing, stores do not support its type, or the files differ in their columns.
    """
    schema = pq.read_schema(paths[0])
    missing = [name for name in REQUIRED if name not in schema.names]
    if missing:
        raise ValueError(f"{paths[0]} has no column {missing[0]!r}: expected {', '.join(REQUIRED)}.")
    for path in paths[1:]:
        if not pq.read_schema(path).equals(schema):
            raise ValueError(f"{path} has other columns than {paths[0]}: expected the same in all files of a store.")
    if len(set(schema.names)) < len(schema.names):
        raise ValueError(f"{paths[0]} has two columns of the same name: its columns are {', '.join(schema.names)}.")
    own = frozenset(exported_from(paths[0]).get("own_columns", ())) & set(OWN)
    first = next(pq.ParquetFile(paths[0]).iter_batches(1), None)
    extra: dict[str, tuple[str, tuple[int, ...]]] = {}
    for field in schema:
        where = f"Column {field.name!r} of {paths[0]} has the type {field.type}"
        if field.name == "observation":
            if not pa.types.is_struct(field.type) or field.type.get_field_index("bytes") < 0:
                raise ValueError(f"{where}: expected a struct with the bytes of a picture.")
        elif field.name == "instruction":
            if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
                raise ValueError(f"{where}: expected text.")
        elif field.name in REQUIRED or field.name == "restart":
            if not _is_number(field.type):
                raise ValueError(f"{where}: expected one number per row.")
        else:
            inner = field.type.value_type if _is_list(field.type) else field.type
            if not _is_number(inner):
                raise ValueError(f"{where}: expected numbers, or lists of numbers with the same length in every row.")
            if not re.fullmatch(r"\w[\w .-]*", field.name):
                raise ValueError(f"{where}: expected a name of letters, digits, '_', '-', '.' and spaces.")
            if field.name not in own:
                shape = (len(first.column(field.name)[0] or ()),) if _is_list(field.type) and first is not None else ()
                extra[field.name] = (str(np.dtype(inner.to_pandas_dtype())), shape)
    numbered = next(
        (name for name in EPISODE if name in schema.names and pa.types.is_integer(schema.field(name).type)), None
    )
    return Layout(tuple(schema.names), extra, own, numbered)


def numbers(table: pa.Table, name: str, where: str) -> np.ndarray:
    """Read a column of numbers: (n,), or (n, k) for lists of k numbers.

    Args:
        table: The rows.
        name: Name of the column.
        where: Name of the rows' source in errors.

    Raises:
        ValueError: The column has nulls, or lists of different lengths.
    """
    column = table[name]
    where = f"Column {name!r} of {where}"
    if column.null_count:
        raise ValueError(
            f"{where} has {column.null_count} nulls, the first in row {_first_null(column)}: expected a value in every "
            "row."
        )
    if not _is_list(column.type):
        return np.asarray(column.to_numpy())
    array = column.combine_chunks()
    lengths = (
        np.diff(array.offsets.to_numpy()) if hasattr(array, "offsets") else np.full(len(array), column.type.list_size)
    )
    if len(set(lengths.tolist())) > 1:
        row = int(np.flatnonzero(lengths != lengths[0])[0])
        raise ValueError(
            f"{where} has lists of {lengths[0]} numbers and, in row {row}, of {lengths[row]}: expected one length."
        )
    flat = array.flatten()
    if flat.null_count:
        raise ValueError(f"{where} has {flat.null_count} nulls in its lists: expected a value everywhere.")
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(array), -1)


def flags(table: pa.Table, name: str, where: str) -> np.ndarray:
    """Read a column of booleans, which may be written as 0 and 1, (n,) bool."""
    return exact(numbers(table, name, where), bool, f"{name} of {where}")


def pictures(table: pa.Table) -> list[Any]:
    """Read the encoded picture of each row; None where there is none."""
    return [(row or {}).get("bytes") for row in table["observation"].to_pylist()]


def texts(table: pa.Table, where: str) -> list[str]:
    """Read the column `instruction`.

    Raises:
        ValueError: A row has no text.
    """
    column = table["instruction"]
    if column.null_count:
        raise ValueError(
            f"Column 'instruction' of {where} has a null in row {_first_null(column)}: expected a text in every row, "
            "which may be empty."
        )
    found: list[str] = column.to_pylist()
    return found


def _first_null(column: pa.ChunkedArray) -> int:
    return int(np.flatnonzero(column.is_null().to_numpy())[0])


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
