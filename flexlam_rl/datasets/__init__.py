"""Rollouts on disk: writer, reader, samplers, label subsets, importers and exporters.

Arrays are NumPy arrays; torch is loaded only by functions that ask for it.
"""

from flexlam_rl.utils.lazy import lazy_names

if not __name__.startswith("flexlam_rl."):  # run through a link at the root of a checkout
    from flexlam_rl.utils.checkout import leave_root

    leave_root()

_WHERE = {
    "Batches": "datasets.loader",
    "DamagedData": "utils.errors",
    "DiskFull": "utils.errors",
    "Episode": "datasets.episode",
    "LabelSet": "datasets.labels",
    "Misaligned": "utils.errors",
    "Origin": "datasets.schema",
    "RawFrames": "datasets.cache",
    "RolloutStore": "datasets.store",
    "RolloutWriter": "datasets.writer",
    "Rollouts": "datasets.store",
    "StoreError": "utils.errors",
    "StoreLocked": "utils.errors",
    "TransitionPairs": "datasets.samplers",
    "Windows": "datasets.samplers",
    "load_labels": "datasets.labels",
    "make_labels": "datasets.labels",
    "open_rollouts": "datasets.store",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
