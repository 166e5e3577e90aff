"""Video without actions: files that FFmpeg can read, and folders of pictures."""

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
    """Folder that contains the videos, also in subfolders."""
    level: str | None = None
    """Name of the level to create; by default the folder's name."""
    size: str | None = None
    """Size of the frames, as WIDTHxHEIGHT or one number for both; by default that of the videos."""
    fit: Fit = "crop"
    """How to change the aspect ratio: crop keeps the middle, pad adds black bars, stretch distorts."""
    fps: float | None = None
    """Frames per second to keep, nearest frames first; by default all are kept. The paper samples real video at 1.6."""
    picture_fps: float | None = None
    """Pictures per second in folders of pictures."""
    cuts: float | None = THRESHOLD
    """Change between two frames, from 0 to 1, that counts as a scene cut (see scene-cuts-<split>.png); None: there are
    no cuts.
    """
    split: Rule | None = None
    """How to choose test data. videos: a share of the videos; time: the end of each video; folders: by folders named
    train and test; train or test: all videos go to that split. By default folders if all videos are in such folders,
    else videos.
    """
    test_share: float = 0.1
    """Share of the videos, or of each video's time, that becomes test data."""
    rows: int | None = None
    """Largest number of frames per episode; longer videos become several episodes. By default as many as fit in
    256 MiB."""
    skip: bool = False
    """Leave out videos that cannot be read, with a warning, instead of stopping at the first one."""


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
