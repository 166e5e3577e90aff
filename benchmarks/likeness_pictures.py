"""Draw strips of recorded DeepMind Lab frames above litelab's, one picture per level, for the README.

    FLEXLAM_DMLAB_RECORDINGS=FOLDER python benchmarks/likeness_pictures.py [--out docs/likeness]

litelab draws from the recorded pose, in the same maze if the recording has one. What either engine draws at random
(textures of a maze, colors and places of objects, bots) differs. Psychlab's screen depends on what was looked at
before, so there litelab plays the recorded actions from the recorded first pose.
"""

import argparse
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

import flexlam_rl  # noqa: F401 - registers the environments
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.utils.pictures import above, beside, enlarged, evenly, write_png

COLUMNS, ENLARGED, SEED = 6, 2, 101
REPLAYED = ("psychlab_visual_search",)
NEW_MAPS = ("language_execute_random_task",)  # the recording holds only the first map
RINGS = 20  # 60 Hz frames until the rings of a spawn have faded


def recording(folder: Path, level: str) -> tuple[list[dict[str, Any]], str]:
    """Read the rows and the maze text of a recorded rollout."""
    table = pq.read_table(folder / "rollouts" / f"{level}-{SEED}.parquet")
    return table.to_pylist(), json.loads(table.schema.metadata[b"dmlab"])["maze"]


def pose(row: dict[str, Any]) -> dict[str, str]:
    """Return litelab's config keys for the pose of a recorded row."""
    pitch, yaw, _ = row["rotation"]
    return {"startPosition": " ".join(map(str, row["position"])), "startAngles": f"{pitch} {yaw}"}


def still(level: str, config: dict[str, str]) -> np.ndarray | None:
    """Draw litelab's frame from a pose, after the rings of a spawn have faded, with one seed per level so that the maze
    keeps its look.

    None where a randomly placed object is in the way: a closed door, or a goal that ends the map.
    """
    env = gym.make(
        "FlexLAM-DMLab-v0", level=level, engine="litelab", action_set="native7", frame_skip=RINGS, config=config
    )
    try:
        env.reset(seed=list(LEVELS).index(level))
        frame, _, _, _, info = env.step(np.zeros(7, np.int32))
        return None if info["map_reset"] else frame
    except ValueError as refused:
        if "startPosition" not in str(refused):
            raise
        return None
    finally:
        env.close()


def at_poses(level: str, rows: list[dict[str, Any]], maze: str, chosen: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the row and litelab's frame at each chosen pose, or at the next free one."""
    for i in chosen:
        for row in range(i, len(rows)):
            frame = still(level, pose(rows[row]) | ({"overrideEntityLayer": maze} if maze else {}))
            if frame is not None:
                yield row, frame
                break


def replayed(level: str, rows: list[dict[str, Any]], chosen: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield rows and litelab's frames while it plays the recorded actions from the recorded first pose."""
    env = gym.make("FlexLAM-DMLab-v0", level=level, engine="litelab", action_set="dreamer15", config=pose(rows[0]))
    frame, _ = env.reset(seed=SEED)
    for i in range(chosen[-1] + 1):
        if i in chosen:
            yield i, frame
        frame, *_ = env.step(rows[i]["action"])
    env.close()


def strips(folder: Path, level: str) -> np.ndarray:
    """Draw the recorded frames in a row, with litelab's below."""
    rows, maze = recording(folder, level)
    if level in NEW_MAPS:
        ages = [row["map_frame_number"] for row in rows]
        rows = rows[: next((i for i in range(1, len(rows)) if ages[i] < ages[i - 1]), len(rows))]
    # the first quarter second after a spawn shows a fall, which does not follow from a pose
    chosen = [4 + i for i in evenly(COLUMNS, len(rows) - 4)]
    ours = dict(replayed(level, rows, chosen) if level in REPLAYED else at_poses(level, rows, maze, chosen))
    real = [np.asarray(Image.open(io.BytesIO(rows[i]["observation"]["bytes"])).convert("RGB")) for i in ours]
    return above([beside([enlarged(frame, ENLARGED) for frame in frames]) for frames in (real, list(ours.values()))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--recordings", type=Path, default=os.environ.get("FLEXLAM_DMLAB_RECORDINGS"), help="folder with rollouts/"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/likeness"))
    parser.add_argument("--levels", nargs="+", choices=list(LEVELS), metavar="LEVEL")
    options = parser.parse_args()
    if options.recordings is None or not (options.recordings / "rollouts").is_dir():
        parser.error(
            f"no recordings at {str(options.recordings)!r}: name a folder with rollouts/ by --recordings or "
            "FLEXLAM_DMLAB_RECORDINGS"
        )
    recorded = sorted({path.stem.rpartition("-")[0] for path in (options.recordings / "rollouts").glob("*.parquet")})
    options.out.mkdir(parents=True, exist_ok=True)
    for level in options.levels or recorded:
        path = options.out / f"{level}.png"
        write_png(path, strips(options.recordings, level))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
