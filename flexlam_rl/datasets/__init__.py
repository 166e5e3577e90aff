"""Rollouts on disk: writer, reader, samplers, label subsets, importers and exporters.

Arrays are NumPy's; torch is loaded only where it is asked for.
"""

import importlib
from typing import Any

if not __name__.startswith("flexlam_rl."):  # run through a link at the root of a checkout
    from flexlam_rl.checkout import leave_root

    leave_root()

_WHERE = {
    "Batches": "loader",
    "DamagedData": "errors",
    "DiskFull": "errors",
    "Episode": "episode",
    "LabelSet": "labels",
    "Misaligned": "errors",
    "Origin": "schema",
    "RawFrames": "cache",
    "Rollouts": "store",
    "RolloutStore": "store",
    "RolloutWriter": "writer",
    "StoreError": "errors",
    "StoreLocked": "errors",
    "TransitionPairs": "samplers",
    "Windows": "samplers",
    "load_labels": "labels",
    "make_labels": "labels",
    "open_rollouts": "store",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"flexlam_rl.datasets.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
