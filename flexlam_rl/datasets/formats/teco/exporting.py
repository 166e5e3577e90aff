"""Export to TECO's npz files, with pose and depth where the store has them; what `import_teco` reads, it reads back.

A file has the frames before each action and no other, so the observation after the last action has no place there.
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
"""Beside the files: level, split, origin, further columns, and seed and end of each episode."""
OWN = ("video", "actions", "intrinsics")


def export_teco(store: RolloutStore, folder: str | Path, progress: Progress = no_progress) -> list[Path]:
    """Write every episode as one npz file. Run again after an interruption, it continues.

    A file has `video` (T, H, W, C), `actions` (T,), and every further column of the store, such as `depth`, `position`
    and `rotation` of `flexlam collect --protocol dmlab-40k`. Beside a position stand the camera's `intrinsics` (3, 3):
    DeepMind Lab's view is 90 degrees wide.

    Args:
        store: A store with discrete actions, one number each, whose maps do not restart within an episode.
        folder: Made if it is not there.
        progress: Told the episodes written and their number.

    Returns:
        The files, `000000.npz` and on.

    Raises:
        ValueError: The files have no place for such actions, restarts or columns.
        StoreError: The folder holds something else under the names of these files.
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
    """Refuse what the files cannot hold, before anything is written."""
    if not store.with_actions or not store.acted[store.episode_table["start"]].all():
        raise ValueError(f"{store.path} holds video without actions: TECO's files need them in every episode.")
    if store.actions is not None and not store.actions.is_single:
        raise ValueError(f"{store.path} has actions of {store.actions.dims} dimensions: TECO's files have one number.")
    if store.actions is None and (store.action[:][store.episode_table["start"]] < 0).any():
        raise ValueError(f"{store.path} has native actions: TECO's files have one number per action.")
    if store.restart[:].any():
        raise ValueError(f"{store.path} has episodes whose map restarts: TECO's files have no mark for that.")
    if odd := sorted(set(store.attributes["extra"]) & set(OWN)):
        raise ValueError(f"{store.path} has a further column {odd[0]!r}: TECO's files use that name otherwise.")


def _ends(store: RolloutStore) -> Iterator[dict[str, Any]]:
    """Seed and end of each episode."""
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
        # square pixels, in an image whose corner is at (0, 0)
        arrays["intrinsics"] = np.array([[width / 2, 0, width / 2], [0, width / 2, height / 2], [0, 0, 1]])
    return arrays


def losses(store: RolloutStore) -> list[str]:
    """Say what TECO's files do not keep of a store."""
    table = store.episode_table
    lost = ["observations after the last action are left out"] if (table["rows"] > table["length"]).any() else []
    lost += ["rewards are left out"] if store.reward[:].any() else []
    return lost + (["instructions are left out"] if any(store.instructions) else [])


@dataclass(frozen=True, kw_only=True)
class ToTeco(ExportOptions):
    """TECO's npz files, <out>/<level>/<split>/000000.npz, with pose and depth where they were recorded."""


def _export(store: RolloutStore, out: Path, options: ToTeco, progress: Progress) -> Path:
    folder = out / store.level / store.split
    export_teco(store, folder, progress)
    say_losses(store, losses(store))
    return folder


EXPORTER = Exporter(ToTeco, _export)
