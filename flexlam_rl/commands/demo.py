"""`flexlam demo`: a picture and a video of an episode, for a first look."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """Let the policy that comes with the package play, and write a picture and a video of it into a folder.

    prefixes.png shows what 1, 4 and 16 codes say about the next frame; episode.mp4 is the episode, with budget, action
    and return beside each frame. `FLEXLAM_CHECKPOINT` names another policy. Needs the extra `models`.
    """

    out: Path = Path("demo")
    """Folder to write to; it is made if it is missing."""
    level: str = "explore_object_locations_small"
    """Name of the level, as `flexlam levels` lists it."""
    budget: int | None = None
    """Number of codes that a decision may spend; by default 16, or all if the policy has fewer."""
    seconds: float = 15.0
    """Length of the video in seconds of play; it is shorter if the episode ends earlier."""
    seed: int = 0
    """Seed of the episode, of the policy's draws and of the decoder's noise."""


def run(options: Options) -> int:
    """Write the picture and the video.

    Raises:
        ImportError: The extra `models` is not installed.
        ValueError: An option is not allowed, or the checkpoint cannot be used.
        OSError: The folder cannot be written.
    """
    print("Loading the policy.", flush=True)  # torch takes seconds to import
    from flexlam_rl.eval.demo import demonstrate

    demonstrate(options.out, options.level, options.budget, options.seconds, options.seed)
    return 0
