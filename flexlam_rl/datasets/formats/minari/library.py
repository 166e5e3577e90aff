"""Access to Minari itself, and to this package's entries in a dataset's metadata."""

import json
from typing import Any

OURS = "flexlam_rl"  # key of a dataset's metadata that holds a store's attributes
KEEP_SEED = "flexlam_seed"  # Minari's own seeds cannot be negative
SINGLE = ("restart", "instruction", "has_last", "key", KEEP_SEED)
RESTART = "map_reset"  # the info in which environments of this package report that the map restarted


def load_minari() -> Any:
    """Import Minari.

    Returns:
        The package, its class of storages, and its class of episode buffers.

    Raises:
        ImportError: Minari is not installed.
    """
    try:
        import minari
        from minari.data_collector.episode_buffer import EpisodeBuffer
        from minari.dataset.minari_storage import MinariStorage
    except ImportError as error:
        raise ImportError(
            f"Minari import and export need the extra `minari`: pip install 'flexlam_rl[minari]' ({error})."
        ) from error
    return minari, MinariStorage, EpisodeBuffer


def read_about(dataset: Any) -> dict[str, Any]:
    """Read the store's attributes that `export_minari` wrote; empty for other datasets."""
    described: dict[str, Any] = json.loads(dataset.storage.metadata.get(OURS, "{}"))
    return described
