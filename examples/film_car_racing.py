"""Film Gymnasium's CarRacing: a folder of mp4 files, as a camera would leave it, for `docs/own-video.md`.

    pip install gymnasium[box2d]
    python examples/film_car_racing.py --out films --videos 40

The driver steers to the gray road that it sees, with some chance in it; what it does is thrown away.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import gymnasium as gym
import numpy as np
import tyro

from flexlam_rl.utils.video import write_video

FPS = 50  # CarRacing's own
ROAD_AHEAD = slice(52, 62)  # rows of the 96x96 picture that lie in front of the car
CAR = 48  # column of the car


@dataclass(frozen=True)
class Options:
    """Film CarRacing."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Folder of the films; made if it is not there."""
    videos: int = 40
    """How many."""
    steps: int = 600
    """Frames of each."""


def drive(picture: np.ndarray, whim: np.ndarray) -> np.ndarray:
    """Choose steering, gas and brake from what the car sees, (96, 96, 3) uint8, and from two random numbers."""
    red, green = picture[ROAD_AHEAD, :, 0].astype(int), picture[ROAD_AHEAD, :, 1].astype(int)
    _, road = np.nonzero((abs(green - red) < 20) & (green < 150))
    side = (road.mean() - CAR) / CAR if len(road) else 0.0
    gas = np.clip(0.25 + 0.4 * whim[1], 0, 1)
    brake = np.clip(-0.4 - 0.6 * whim[1], 0, 0.5)
    return np.array([np.clip(3 * side + 0.7 * whim[0], -1, 1), gas, brake], np.float32)


def film(seed: int, steps: int) -> list[np.ndarray]:
    """Drive one track; gives the pictures."""
    env = gym.make("CarRacing-v3")
    random, whim = np.random.default_rng(seed), np.zeros(2)
    picture, _ = env.reset(seed=seed)
    pictures = []
    while len(pictures) < steps:
        pictures.append(picture)
        whim = 0.95 * whim + 0.3 * random.standard_normal(2)  # slow whims: a driver who changes his mind
        picture, _, terminated, truncated, _ = env.step(drive(picture, whim))
        if terminated or truncated:
            break
    env.close()
    return pictures[40:]  # the environment begins with a zoom


def main() -> None:
    """Write the films."""
    options = tyro.cli(Options)
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.videos):
        path = options.out / f"drive-{number:03d}.mp4"
        if not path.exists():
            print(f"{path}: {write_video(path, film(number, options.steps), fps=FPS)} frames", flush=True)


if __name__ == "__main__":
    main()
