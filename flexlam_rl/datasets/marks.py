"""The optional extra column that tells which actions the expert chose, and which are, for example, random.

Legend: `N` rows of a store.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from flexlam_rl.utils.errors import StoreError

EXPERT_CHOSE = "expert_chose"
"""Name of the extra column: bool, whether the expert chose the row's action. Rows without an action have True."""


def is_marked(stores: Iterable[Any]) -> bool:
    """Whether any of the stores has the column that tells which actions the expert chose."""
    return any(f"extra/{EXPERT_CHOSE}" in store.column_names for store in stores)


def expert_chose(store: Any) -> np.ndarray | None:
    """Read which actions the expert chose.

    Args:
        store: A `RolloutStore` or `MemoryStore`.

    Returns:
        (N,) bool, or None if the store has no such column, which means that the expert chose all actions.

    Raises:
        StoreError: The column does not have one bool per row.
    """
    if not is_marked([store]):
        return None
    name = f"extra/{EXPERT_CHOSE}"
    values: np.ndarray = store.column(name).whole()
    if values.dtype != np.bool_ or values.ndim != 1:
        raise StoreError(
            f"Column {name} of {store.path} is {values.dtype} with rows of shape {values.shape[1:]}: expected one bool "
            "per row, whether the expert chose its action."
        )
    return values
