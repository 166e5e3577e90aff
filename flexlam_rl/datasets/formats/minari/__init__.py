"""Minari, Farama's exchange format for offline reinforcement learning; exports are lossless."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from flexlam_rl.datasets.format import Exporter, ExportOptions, Format, Importer, ImportOptions, Split, existing_folder
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress
from flexlam_rl.utils.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "export_minari": "datasets.formats.minari.exporting",
        "import_minari": "datasets.formats.minari.importing",
    },
)


@dataclass(frozen=True, kw_only=True)
class FromMinari(ImportOptions):
    """A Minari dataset with image observations."""

    folder: tyro.conf.Positional[Path]
    """Folder of the dataset's data, <dataset id>/data."""
    level: str | None = None
    """Name of the level; may be left out for datasets that this project exported."""
    split: Split | None = None
    """Split of the store; by default that of the exported store, else train."""


@dataclass(frozen=True, kw_only=True)
class ToMinari(ExportOptions):
    """Minari datasets, <out>/dmlab/<level>/<split>-v0; lossless."""

    jpeg: bool = False
    """Store JPEG pictures, which is Minari's default: smaller, but lossy."""
    format: Literal["hdf5", "arrow"] = "hdf5"
    """Minari's file format."""


def _import(options: FromMinari, progress: Progress) -> list[RolloutStore]:
    from flexlam_rl.datasets.formats.minari.importing import import_minari

    folder = existing_folder(options.folder)
    return [import_minari(folder, options.out, options.level, options.split, progress=progress)]


def _export(store: RolloutStore, out: Path, options: ToMinari, progress: Progress) -> Path:
    from flexlam_rl.datasets.formats.minari.exporting import export_minari

    target = out / "dmlab" / store.level / f"{store.split}-v0"
    export_minari(store, target / "data", jpeg=options.jpeg, data_format=options.format, progress=progress)
    return target


FORMAT = Format("minari", "Minari datasets of Farama", Importer(FromMinari, _import), Exporter(ToMinari, _export))
