"""Errors of the rollout store: each carries one sentence that names the thing, its value and what is expected."""


class StoreError(RuntimeError):
    """A store that cannot be opened, read or written."""


class StoreLocked(StoreError):
    """A second writer on one store."""


class DiskFull(StoreError):
    """The disk filled up; everything committed before stays."""


class DamagedData(StoreError):
    """Stored bytes that differ from what was written; the message names shard and chunk."""


class Misaligned(ValueError):
    """Imported data whose actions do not lead from the frame of their row to the next."""
