"""Video without actions: files that FFmpeg opens, and folders of pictures."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from flexlam_rl.datasets.format import Format, Importer, ImportOptions
from flexlam_rl.datasets.formats.video.cuts import THRESHOLD
from flexlam_rl.datasets.formats.video.importing import HowVideo, import_video
from flexlam_rl.datasets.formats.video.splits import Rule
from flexlam_rl.datasets.resize import Fit, Resize
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress

__all__ = ["FORMAT", "HowVideo", "Resize", "import_video"]


@dataclass(frozen=True, kw_only=True)
class FromVideo(ImportOptions):
    """Your own video, without actions: mp4, m4v, mov, mkv, webm, avi, gif, and folders of PNG or JPEG pictures."""

    folder: tyro.conf.Positional[Path]
    """Folder that holds them, also in folders below it."""
    level: str | None = None
    """Name of the data; None: the folder's."""
    size: str | None = None
    """Size of the frames, as WIDTHxHEIGHT or one number for both; None keeps that of the videos."""
    fit: Fit = "crop"
    """How other proportions are changed: crop keeps the middle, pad adds black bars, stretch distorts."""
    fps: float | None = None
    """Frames per second, the nearest one to each moment; None keeps all. The paper samples real video at 1.6."""
    picture_fps: float | None = None
    """Pictures per second of folders of pictures."""
    cuts: float | None = THRESHOLD
    """Change between frames, from 0 to 1, from which on it is a scene cut, shown in scene-cuts-<split>.png; None: there
    are no cuts.
    """
    split: Rule | None = None
    """What is test data. videos: a share of the videos; time: the end of each video; folders: what lies in the folders
    train and test; train, test: everything is of that split. None: folders where all videos lie in such, else videos.
    """
    test_share: float = 0.1
    """Share of the videos, or of each video's time, that is test data."""
    rows: int | None = None
    """Most frames of an episode; a longer video becomes several. None: as many as take 256 MiB."""
    skip: bool = False
    """Leave out videos that cannot be read, and name them, instead of stopping at the first."""


def _import(options: FromVideo, progress: Progress) -> list[RolloutStore]:
    size = None if options.size is None else Resize.parse(options.size, options.fit)
    return import_video(
        options.folder,
        options.out,
        options.level,
        HowVideo(size, options.fps, options.cuts, options.rows),
        split=options.split,
        test_share=options.test_share,
        picture_fps=options.picture_fps,
        skip=options.skip,
        progress=progress,
    )


FORMAT = Format("video", "videos without actions, and folders of pictures", Importer(FromVideo, _import))
