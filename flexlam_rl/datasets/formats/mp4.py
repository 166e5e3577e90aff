"""Export to mp4, one file per episode: for people and for tools that read video."""

from dataclasses import dataclass
from pathlib import Path

from flexlam_rl.datasets.export_folder import begin_export, say_losses
from flexlam_rl.datasets.format import Exporter, ExportOptions, Format
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress, disk_errors, no_progress
from flexlam_rl.utils.video import write_video


def export_mp4(
    store: RolloutStore, folder: str | Path, progress: Progress = no_progress, *, lossless: bool = False
) -> list[Path]:
    """Write the frames of every episode as H.264, in their own size and at the speed of play. Run again after an
    interruption, it continues.

    Args:
        store: Any store of frames with one or three channels.
        folder: Made if it is not there.
        progress: Told the episodes written and their number.
        lossless: Keep every value of the frames; not every player shows such a file.

    Returns:
        The files, `episode-000000.mp4` and on.

    Raises:
        ValueError: Frames with channels that a video has no place for.
        StoreError: The folder holds something else under the names of these files.
    """
    channels = store.frames.row[-1]
    if channels not in (1, 3):
        other = "`flexlam data video` draws a fourth beside the others"
        raise ValueError(f"{store.path} has frames of {channels} channels: mp4 holds 1 or 3; {other}.")
    folder = Path(folder)
    names = [f"episode-{number:06d}.mp4" for number in range(store.episodes)]
    with disk_errors(folder):
        there = begin_export(folder, store, names, {"lossless": True} if lossless else {})
        for number, name in enumerate(names):
            progress(number, len(names))
            if name not in there:
                write_video(folder / name, iter(store.episode_at(number).frames), fps=store.fps, lossless=lossless)
    progress(len(names), len(names))
    return [folder / name for name in names]


@dataclass(frozen=True, kw_only=True)
class ToMp4(ExportOptions):
    """Plain videos, <out>/<level>-<split>/episode-000000.mp4, without actions, rewards, marks, words and restarts."""

    lossless: bool = False
    """Keep every value of the frames: larger, and not every player shows such a file."""


def _export(store: RolloutStore, out: Path, options: ToMp4, progress: Progress) -> Path:
    folder = out / f"{store.level}-{store.split}"
    export_mp4(store, folder, progress, lossless=options.lossless)
    lost = [] if options.lossless else ["frames are lossy H.264 (--lossless keeps every value)"]
    lost += ["actions and rewards are left out"] if store.with_actions else []
    lost += ["instructions are left out"] if any(store.instructions) else []
    lost += ["map restarts are left out"] if store.restart[:].any() else []
    say_losses(store, lost)
    return folder


FORMAT = Format("mp4", "H.264 videos, one per episode, frames alone", exporter=Exporter(ToMp4, _export))
