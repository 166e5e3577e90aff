"""Measure how well scene cuts are distinguished from motion, on a reel of scenes with known cuts and on recordings
without cuts.

Usage: python benchmarks/scene_cuts.py --out reel [--recordings FOLDER]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np

import flexlam_rl  # noqa: F401  registers the environments
from flexlam_rl.datasets.formats.video import HowVideo, import_video
from flexlam_rl.datasets.formats.video.cuts import SceneChange
from flexlam_rl.datasets.pictures import decode
from flexlam_rl.utils.video import write_video

LEVELS = (
    "rooms_watermaze", "lasertag_one_opponent_large", "natlab_varying_map_regrowth", "explore_goal_locations_small",
    "psychlab_visual_search", "rooms_exploit_deferred_effects_train", "explore_object_locations_large",
    "language_execute_random_task",
)  # fmt: skip
SCENES, FRAMES = 24, 60


def reel() -> Iterator[np.ndarray]:
    """Play random actions in one level after another."""
    for scene in range(SCENES):
        env = gym.make("FlexLAM-DMLab-v0", level=LEVELS[scene % len(LEVELS)], engine="litelab")
        env.action_space.seed(scene)
        seen, _ = env.reset(seed=scene)
        for _ in range(FRAMES):
            yield seen
            seen = env.step(env.action_space.sample())[0]
        env.close()


def of_recordings(folder: Path) -> np.ndarray:
    """Measure the changes within the first 600 frames of every second recording."""
    import pyarrow.parquet as pq

    changes: list[float] = []
    for file in sorted(folder.glob("*.parquet"))[::2]:
        scene = SceneChange()
        pictures = pq.read_table(file, columns=["observation"])["observation"].to_pylist()[:600]
        changes += [scene(decode(picture["bytes"])) for picture in pictures][1:]
    return np.array(changes)


def main() -> None:
    """Make the reel, import it, and count the cuts that were found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the reel, its store and the picture")
    parser.add_argument("--recordings", type=Path, help="folder of recorded episodes (parquet)")
    options = parser.parse_args()
    films = options.out / "films"
    films.mkdir(parents=True, exist_ok=True)
    write_video(films / "reel.mp4", reel(), fps=15)
    [store] = import_video(films, options.out / "data", "reel", HowVideo(), split="train")
    change, cuts = store.column("extra/scene_change")[:], set(range(FRAMES, SCENES * FRAMES, FRAMES))
    print(f"picture: {store.path.parent / 'scene-cuts-train.png'}")
    for threshold in (0.1, 0.15, 0.2, 0.25):
        found = set(np.flatnonzero(change >= threshold).tolist())
        others = len(change) - 1 - len(cuts)
        print(f"{threshold}: {len(found & cuts)} of {len(cuts)} cuts, {len(found - cuts)} of {others} other pairs")
    if options.recordings is not None:
        shares = np.quantile(of_recordings(options.recordings), (0.5, 0.9, 0.99, 0.999))
        print("recordings, quantiles 0.5, 0.9, 0.99, 0.999: " + ", ".join(f"{value:.3f}" for value in shares))


if __name__ == "__main__":
    main()
