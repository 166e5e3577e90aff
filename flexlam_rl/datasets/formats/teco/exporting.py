"""Export to TECO's npz files, with pose and depth if the store has them; `import_teco` reads them back.

A file has one frame per action, the one before it, so the observation after the last action has no place in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.export_folder import begin_export, say_losses
from flexlam_rl.datasets.format import Exporter, ExportOptions
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress, atomic_file, disk_errors, no_progress, write_json

RECORD = "flexlam.json"
"""File beside the npz files with level, split, origin, extra columns, and seed and end of each episode."""
OWN = ("video", "actions", "intrinsics")


def export_teco(store: RolloutStore, folder: str | Path, progress: Progress = no_progress) -> list[Path]:
    """Write each episode as one npz file. After an interruption, the same call continues.

    A file has `video` (T, H, W, C), `actions` (T,), and all extra columns of the store, such as `depth`, `position` and
    `rotation` of `flexlam collect --protocol dmlab-40k`. Files with a position also have the camera's `intrinsics`
    (3, 3), for DeepMind Lab's 90 degree wide view.

    Args:
        store: A store with discrete actions, one number each, whose maps do not restart within an episode.
        folder: Folder to write to; created if it is missing.
        progress: Called with the number of episodes written and the total.

    Returns:
        The files: `000000.npz` and so on.

    Raises:
        ValueError: The files cannot hold the store's actions, restarts or columns.
        StoreError: The folder contains other files with these names.
    """
    _check(store)
    folder = Path(folder)
    names = [f"{number:06d}.npz" for number in range(store.episodes)]
    with disk_errors(folder):
        there = begin_export(folder, store, names, {})
        about = {name: store.attributes[name] for name in ("level", "split", "origin", "extra")}
        write_json(folder / RECORD, about | {"episodes": dict(zip(names, _ends(store), strict=True))})
        for number, name in enumerate(names):
            progress(number, len(names))
            if name not in there:
                with atomic_file(folder / name) as file:
                    np.savez_compressed(file, **_arrays(store.episode_at(number)))  # type: ignore[arg-type]
    progress(len(names), len(names))
    return [folder / name for name in names]


def _check(store: RolloutStore) -> None:
    """Check that the files can hold the store, before anything is written."""
    if not store.with_actions or not store.acted[store.episode_table["start"]].all():
        raise ValueError(f"{store.path} has video without actions: TECO's files need actions in every episode.")
    if store.actions is not None and not store.actions.is_single:
        raise ValueError(f"{store.path} has actions of {store.actions.dims} dimensions: TECO's files hold one.")
    if store.actions is None and (store.action[:][store.episode_table["start"]] < 0).any():
        raise ValueError(f"{store.path} has native actions: TECO's files have one number per action.")
    if store.restart[:].any():
        raise ValueError(f"{store.path} has episodes whose map restarts: TECO's files have no mark for that.")
    if odd := sorted(set(store.attributes["extra"]) & set(OWN)):
        raise ValueError(f"{store.path} has an extra column {odd[0]!r}: TECO's files use this name for something else.")


def _ends(store: RolloutStore) -> Iterator[dict[str, Any]]:
    """Yield seed and end of each episode."""
    table, ends = store.episode_table, {name: store.column(name)[:] for name in ("terminated", "truncated")}
    for start, rows, seed in zip(table["start"], table["rows"], table["seed"], strict=True):
        marks = {name: bool(column[start : start + rows].any()) for name, column in ends.items()}
        yield {"seed": int(seed), **marks}


def _arrays(episode: Episode) -> dict[str, np.ndarray]:
    assert episode.action is not None
    length = episode.length
    arrays = {"video": episode.frames[:length], "actions": episode.action}
    arrays |= {name: column[:length] for name, column in episode.extra.items()}
    if "position" in arrays:
        height, width = episode.frames.shape[1:3]
        # pinhole camera with square pixels and the image's corner at (0, 0)
        arrays["intrinsics"] = np.array([[width / 2, 0, width / 2], [0, width / 2, height / 2], [0, 0, 1]])
    return arrays


def losses(store: RolloutStore) -> list[str]:
    """List what TECO's files do not keep of a store, one phrase each."""
    table = store.episode_table
    lost = ["observations after the last action are left out"] if (table["rows"] > table["length"]).any() else []
    lost += ["rewards are left out"] if store.reward[:].any() else []
    return lost + (["instructions are left out"] if any(store.instructions) else [])


@dataclass(frozen=True, kw_only=True)
class ToTeco(ExportOptions):
    """TECO's npz files, <out>/<level>/<split>/000000.npz, with pose and depth if they were recorded."""


def _export(store: RolloutStore, out: Path, options: ToTeco, progress: Progress) -> Path:
    folder = out / store.level / store.split
    export_teco(store, folder, progress)
    say_losses(store, losses(store))
    return folder


EXPORTER = Exporter(ToTeco, _export)
