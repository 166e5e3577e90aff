"""LeRobot datasets of version 3: parquet and mp4 files, several cameras, texts of tasks, continuous actions."""

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

# pyarrow is loaded where one of these is used
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
    """Folder with meta/info.json in it."""
    level: str | None = None
    """Name of the data; None: that of an exported store, or the folder's."""
    camera: tuple[str, ...] = ()
    """Camera whose pictures become the frames, and others that become further columns; none: the only one."""
    size: str | None = None
    """Size of the frames, as WIDTHxHEIGHT or one number for both; None keeps it."""
    fit: Fit = "crop"
    """How other proportions are changed: crop keeps the middle, pad adds black bars, stretch distorts."""
    split: Rule | None = None
    """episodes: a share of the episodes is test data; train, test: all of them are of that split. None: the split of an
    exported store, else episodes.
    """
    test_share: float = 0.1
    """Share of the episodes that is test data."""
    bounds: tuple[float, float] | None = None
    """Lowest and highest continuous action in every dimension; None: of all actions in the data."""


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
    """The observation after the last action, which LeRobot has no row for: drop leaves it out, row gives it one, with
    actions of 0 and a mark.
    """


def _export(store: RolloutStore, out: Path, options: ToLeRobot, progress: Progress) -> Path:
    from flexlam_rl.datasets.formats.lerobot.exporting import export_lerobot, losses

    folder = export_lerobot(store, out / f"{store.level}-{store.split}", options.frames, options.last_frames, progress)
    say_losses(store, losses(store, options.frames, options.last_frames))
    return folder


FORMAT = Format(
    "lerobot", "LeRobot datasets of version 3", Importer(FromLeRobot, _import), Exporter(ToLeRobot, _export)
)
