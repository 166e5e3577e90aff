"""Export to mp4, one file an episode: for people and for tools that read video. Lossy."""

from pathlib import Path

from flexlam_rl.datasets.files import Progress, begin_export, disk_errors, no_progress
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.viewing import write_video


def export_mp4(store: RolloutStore, folder: str | Path, progress: Progress = no_progress) -> list[Path]:
    """Write the frames of every episode as H.264, in their own size and at the speed of play. Run again after an interruption, it continues.

    Args:
        store: Any store.
        folder: Made if it is not there.
        progress: Told the episodes written and their number.

    Returns:
        The files, `episode-000000.mp4` and on.
    """
    folder = Path(folder)
    names = [f"episode-{number:06d}.mp4" for number in range(store.episodes)]
    with disk_errors(folder):
        there = begin_export(folder, store.split, names, {"digest": store.digest})
        for number, name in enumerate(names):
            progress(number, len(names))
            if name not in there:
                write_video(folder / name, iter(store.episode_at(number).frames), fps=60 / store.origin.frame_skip)
    progress(len(names), len(names))
    return [folder / name for name in names]
