"""Export to mp4 with one file per episode, for people and for tools that read video."""

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
    """Write the frames of each episode as an H.264 video in their own size, at the speed of play. After an
    interruption, the same call continues.

    Args:
        store: A store whose frames have one or three channels.
        folder: Folder to write to; created if it is missing.
        progress: Called with the number of episodes written and the total.
        lossless: Keep every pixel value; some players cannot show such files.

    Returns:
        The files: `episode-000000.mp4` and so on.

    Raises:
        ValueError: The frames do not have one or three channels.
        StoreError: The folder contains other files with these names.
    """
    channels = store.frames.row[-1]
    if channels not in (1, 3):
        other = "`flexlam data video` draws a fourth one beside the others"
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
    """Videos, <out>/<level>-<split>/episode-000000.mp4; all other data (actions, rewards, ...) is left out."""

    lossless: bool = False
    """Keep every pixel value: files are larger, and some players cannot show them."""


def _export(store: RolloutStore, out: Path, options: ToMp4, progress: Progress) -> Path:
    folder = out / f"{store.level}-{store.split}"
    export_mp4(store, folder, progress, lossless=options.lossless)
    lost = [] if options.lossless else ["frames are lossy H.264 (--lossless keeps every value)"]
    lost += ["actions and rewards are left out"] if store.with_actions else []
    lost += ["instructions are left out"] if any(store.instructions) else []
    lost += ["map restarts are left out"] if store.restart[:].any() else []
    say_losses(store, lost)
    return folder


FORMAT = Format("mp4", "H.264 videos, one per episode, frames only", exporter=Exporter(ToMp4, _export))
