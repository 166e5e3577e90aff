"""Errors of the rollout store. Each carries one sentence that names the thing, its value and what is expected."""


class StoreError(RuntimeError):
    """A store that cannot be opened, read or written."""


class StoreLocked(StoreError):
    """A second writer tried to open a store that already has one."""


class DiskFull(StoreError):
    """The disk is full; everything that was committed before is kept."""


class DamagedData(StoreError):
    """Stored bytes that differ from what was written; the message names shard and chunk."""


class Misaligned(ValueError):
    """Imported data whose actions do not lead from the frame in their own row to the frame in the next row."""
