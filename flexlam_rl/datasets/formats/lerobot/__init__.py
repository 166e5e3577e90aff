"""LeRobot datasets of version 3: parquet and mp4 files, several cameras, task texts, continuous actions."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from flexlam_rl.datasets.export_folder import say_losses
from flexlam_rl.datasets.format import Exporter, ExportOptions, Format, Importer, ImportOptions
from flexlam_rl.datasets.formats.lerobot.choices import Frames, LastFrames, Rule
from flexlam_rl.datasets.resize import Fit, Resize
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress
from flexlam_rl.utils.lazy import lazy_names

# pyarrow is loaded only when one of these is used
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "export_lerobot": "datasets.formats.lerobot.exporting",
        "import_lerobot": "datasets.formats.lerobot.importing",
    },
)


@dataclass(frozen=True, kw_only=True)
class FromLeRobot(ImportOptions):
    """A LeRobot dataset of version 3 on disk."""

    folder: tyro.conf.Positional[Path]
    """Folder that contains meta/info.json."""
    level: str | None = None
    """Name of the level to create; by default that of the exported store, else the folder's name."""
    camera: tuple[str, ...] = ()
    """Camera whose pictures become the frames, then any others to keep as extra columns; may be left out if there is
    only one camera.
    """
    size: str | None = None
    """Size of the frames, as WIDTHxHEIGHT or one number for both; by default it is kept."""
    fit: Fit = "crop"
    """How to change the aspect ratio: crop keeps the middle, pad adds black bars, stretch distorts."""
    split: Rule | None = None
    """episodes: a share of the episodes becomes test data; train or test: all episodes go to that split. By default the
    split of the exported store, else episodes.
    """
    test_share: float = 0.1
    """Share of the episodes that becomes test data."""
    bounds: tuple[float, float] | None = None
    """Lowest and highest value of continuous actions, for all dimensions; by default those found in the data."""


def _import(options: FromLeRobot, progress: Progress) -> list[RolloutStore]:
    from flexlam_rl.datasets.formats.lerobot.importing import import_lerobot

    size = None if options.size is None else Resize.parse(options.size, options.fit)
    return import_lerobot(
        options.folder,
        options.out,
        options.level,
        options.camera,
        options.split,
        options.test_share,
        size=size,
        bounds=options.bounds,
        progress=progress,
    )


@dataclass(frozen=True, kw_only=True)
class ToLeRobot(ExportOptions):
    """LeRobot datasets of version 3, <out>/<level>-<split>."""

    frames: Frames = "video"
    """video: mp4 files, lossy; image: PNG pictures in the parquet files, exact."""
    last_frames: LastFrames = "drop"
    """What to do with the observation after the last action, which has no place in LeRobot's format: drop leaves it
    out, row adds a marked row with actions of 0.
    """


def _export(store: RolloutStore, out: Path, options: ToLeRobot, progress: Progress) -> Path:
    from flexlam_rl.datasets.formats.lerobot.exporting import export_lerobot, losses

    folder = export_lerobot(store, out / f"{store.level}-{store.split}", options.frames, options.last_frames, progress)
    say_losses(store, losses(store, options.frames, options.last_frames))
    return folder


FORMAT = Format(
    "lerobot", "LeRobot datasets of version 3", Importer(FromLeRobot, _import), Exporter(ToLeRobot, _export)
)
