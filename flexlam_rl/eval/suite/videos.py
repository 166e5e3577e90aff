"""Short videos of a suite: the beginning of the first episode of each level, as the policy saw it."""

from pathlib import Path

import numpy as np

from flexlam_rl.agents.watchers import Watcher
from flexlam_rl.eval.suite.batches import Job
from flexlam_rl.utils.pictures import caption, enlarged
from flexlam_rl.utils.video import write_video

STEPS = 450
"""Number of agent steps of a video: 30 s."""
SIZE = 256


class Videos(Watcher):
    """Collects frames while a batch plays, and writes each video when its episode ends.

    Args:
        folder: Folder of the videos; None for no videos.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._frames: dict[Job, list[tuple[np.ndarray, int, float]]] = {}

    def wants(self, key: Job) -> bool:
        """Return whether to film an episode, which is the first one of each level and budget."""
        return self.folder is not None and key.number == 0

    def frames(self, key: Job, frame: np.ndarray, step: int, total: float) -> None:
        """Keep a frame."""
        if step < STEPS:
            self._frames.setdefault(key, []).append((frame.copy(), step, total))

    def ended(self, job: Job) -> None:
        """Write the video of an episode that has ended."""
        kept = self._frames.pop(job, None)
        if not kept or self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        words = f" K = {job.budget}" if job.budget else ""
        name = f"{job.level}-K{str(job.budget).replace(':', '-')}.mp4" if job.budget else f"{job.level}.mp4"
        factor = max(1, SIZE // kept[0][0].shape[0])
        write_video(
            self.folder / name,
            (
                caption(enlarged(frame, factor), f"{job.level}{words}\nstep {step}  return {total:g}", lines=2)
                for frame, step, total in kept
            ),
        )
