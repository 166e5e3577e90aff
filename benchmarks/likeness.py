"""Measure how much litelab's frames resemble recorded DeepMind Lab frames seen from the same pose.

    FLEXLAM_DMLAB_RECORDINGS=FOLDER python benchmarks/likeness.py [--levels LEVEL ...] [--textures labmaze]
        [--pictures FOLDER]

In a level with a maze, litelab takes the recorded maze text. The recording does not name the wall and the floor of each
room; those whose colors fit its frames best are taken, and walls are left bare. Items, opponents and effects differ,
because they are placed at random. Frames right after a (re)start are left out. The language level, whose rooms change
with every task, is compared only in its first map.

- colour: mean absolute difference of 8-bit channels of frames averaged down to 16 x 16 (an object at another place
  costs little, a wrong color or height of a wall a lot).
- ssim: mean structural similarity of brightness in 8 x 8 windows (1 for equal frames).
- edges: correlation of brightness gradients (1 for equal frames), which only structure at the same place can give.
- rows: median shift, in rows, that aligns the mean brightness of rows: 0 when horizon, walls and floor are at the right
  height.
"""

import argparse
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from scipy import ndimage

from flexlam_rl.envs.litelab import engine, mazetext, render, settings, shade
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.levels.table import LEVEL_FOLDER
from flexlam_rl.envs.litelab.look import TEXTURE_SETS, Look, load_look

SIZE = 64
TURN = 65536.0 / 360.0
SETTLED = 60  # number of frames of a map after which the lights of a spawn are gone
HUD_ROWS = 56  # first row that the status bar covers


@dataclass
class Recording:
    """Frames of a recorded rollout: frames (T, 64, 64, 3), positions (T, 3), rotations (T, 3) in degrees, and seconds
    left (T,).
    """

    level: str
    maze: str
    frames: np.ndarray
    position: np.ndarray
    rotation: np.ndarray
    remaining: np.ndarray


def load(path: Path, count: int) -> Recording:
    """Read about `count` evenly spread settled frames of a rollout file."""
    table = pq.read_table(path)
    meta = json.loads(table.schema.metadata[b"dmlab"])
    map_frame = np.array(table["map_frame_number"].to_pylist())
    usable = map_frame > SETTLED
    if meta["level"] == "language_execute_random_task":
        usable &= np.cumsum(np.diff(map_frame, prepend=0) < 0) == 0
    rows = np.flatnonzero(usable)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]
    table = table.take(rows)
    images = [
        np.asarray(Image.open(io.BytesIO(image["bytes"])).convert("RGB")) for image in table["observation"].to_pylist()
    ]
    columns = (np.array(table[name].to_pylist()) for name in ("position", "rotation", "frames_remaining"))
    return Recording(meta["level"], meta["maze"], np.stack(images), *columns)


def rooms(w: Any) -> np.ndarray:
    """Number the rooms, which are connected two-by-two blocks of open cells; cells of corridors have 0."""
    is_open = w["cell"][: w["rows"], : w["cols"]] == s.OPEN
    block = is_open[:-1, :-1] & is_open[1:, :-1] & is_open[:-1, 1:] & is_open[1:, 1:]
    inside = np.zeros_like(is_open)
    for dr in (0, 1):
        for dc in (0, 1):
            inside[dr : dr + block.shape[0], dc : dc + block.shape[1]] |= block
    return ndimage.label(inside)[0]


def make_worlds(recording: Recording) -> np.ndarray:
    """Make a world of the recording's level, with its maze bare and one variation per room."""
    worlds = np.zeros(1, s.WORLD)
    w = worlds[0]
    settings.fill_world(w, settings.parse(LEVEL_FOLDER + recording.level, {}, runfiles="litelab"))
    if recording.maze:
        mazetext.load_maze_text(w, recording.maze)
    engine.begin(worlds, 0, 1)
    w["item_count"] = 0
    w["player_count"] = 1
    w["map_ms"] = 1_000_000
    w["bright"] = 0.0
    if recording.maze:
        w["decal"][:] = 0
        w["variation"][: w["rows"], : w["cols"]] = rooms(w) % 27
    w["players"][0]["health"] = 100
    return worlds


def pose(w: Any, recording: Recording, t: int) -> None:
    """Move the player to the recorded pose."""
    p = w["players"][0]
    p["pos"] = recording.position[t]
    p["pitch"] = round(recording.rotation[t, 0] * TURN)
    p["yaw"] = round(recording.rotation[t, 1] * TURN)
    w["frame"] = w["episode_frames"] - recording.remaining[t]


def draw(worlds: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Draw litelab's frame and depth."""
    rgb, depth = np.empty((SIZE, SIZE, 3), np.uint8), np.empty((SIZE, SIZE), np.float32)
    render.draw(worlds, 0, look, rgb, depth, 2)
    return rgb, depth


def points(w: Any, depth: np.ndarray) -> np.ndarray:
    """Compute the world points (64, 64, 3) under the pixels."""
    p = w["players"][0]
    u = (2 * np.arange(SIZE) + 1 - SIZE) / SIZE
    yaw, pitch = p["yaw"] / TURN * np.pi / 180, p["pitch"] / TURN * np.pi / 180
    v = -u[:, None]
    ahead = np.cos(pitch) + v * np.sin(pitch)
    x = p["pos"][0] + depth * (ahead * np.cos(yaw) + u * np.sin(yaw))
    y = p["pos"][1] + depth * (ahead * np.sin(yaw) - u * np.cos(yaw))
    z = p["pos"][2] + p["view_height"] + depth * (v * np.cos(pitch) - np.sin(pitch))
    return np.stack([x, y, np.broadcast_to(z, depth.shape)], -1)


def fit_rooms(worlds: np.ndarray, recording: Recording, look: Look) -> None:
    """Choose each room's wall and floor by the mean color of their recorded pixels."""
    w = worlds[0]
    sums = np.zeros((2, 27, 4))
    shade.prepare(w)
    for t in range(len(recording.frames)):
        pose(w, recording, t)
        _, depth = draw(worlds, look)
        x, y, z = np.moveaxis(points(w, depth), -1, 0)
        edge = np.minimum(np.minimum(x % 100, 100 - x % 100), np.minimum(y % 100, 100 - y % 100))
        row = np.clip(w["rows"] - 1 - (y // 100).astype(int), 0, w["rows"] - 1)
        room = w["variation"][row, np.clip((x // 100).astype(int), 0, w["cols"] - 1)]
        seen = (depth < 500) & (np.arange(SIZE)[:, None] < HUD_ROWS - 6)
        for kind, mask in enumerate((seen & (z > 40) & (z < 95), seen & (z < 1.5) & (edge > 25))):
            np.add.at(sums[kind], room[mask], np.concatenate([recording.frames[t][mask], np.ones((mask.sum(), 1))], 1))
    last = look.atlas[:, -((tx.SIZE >> (tx.LEVELS - 1)) ** 2) :]
    means = np.stack([(last >> (8 * c) & 255).mean(1) for c in range(3)], -1)
    for kind, (field, first, light) in enumerate((("wall_texture", 0, 0.94), ("floor_texture", tx.FLOORS, 0.955))):
        for room in range(1, 27):
            total = sums[kind, room]
            if total[3] > 0:
                w[field][room] = np.abs(means[first : first + 20] * light - total[:3] / total[3]).sum(1).argmin()
    w["wall_texture"][0], w["floor_texture"][0] = tx.CORRIDOR_WALL, tx.CORRIDOR_FLOOR
    shade.prepare(w)


def colour_error(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the mean absolute difference of frames averaged to 16 x 16."""
    small = [x.reshape(16, 4, 16, 4, 3).mean((1, 3)) for x in (a, b)]
    return float(np.abs(small[0] - small[1]).mean())


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the mean structural similarity of two brightness images in 8 x 8 windows."""
    mean_a, mean_b = (ndimage.uniform_filter(x, 8) for x in (a, b))
    var_a, var_b = (np.maximum(ndimage.uniform_filter(x * x, 8) - m * m, 0.0) for x, m in ((a, mean_a), (b, mean_b)))
    both = ndimage.uniform_filter(a * b, 8) - mean_a * mean_b
    c1, c2 = 6.5, 58.5
    value = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(value[4:-4, 4:-4].mean())


def edges(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the correlation of the gradients of two brightness images, smoothed by a pixel."""
    parts = [np.stack([ndimage.gaussian_filter(x, 1.0, order=o) for o in ((0, 1), (1, 0))]) for x in (a, b)]
    norm = np.sqrt((parts[0] ** 2).sum() * (parts[1] ** 2).sum())
    return float((parts[0] * parts[1]).sum() / max(norm, 1e-9))


def row_shift(a: np.ndarray, b: np.ndarray) -> float:
    """Find the shift of rows (in steps of a quarter, up to 4) at which the row means of `b` fit those of `a` best."""
    rows = np.arange(6, HUD_ROWS - 6)
    profile_a, profile_b = (np.diff(x.mean(1)) for x in (a, b))
    shifts = np.arange(-16, 17) / 4.0
    errors = [np.abs(profile_a[rows] - np.interp(rows + d, np.arange(SIZE - 1), profile_b)).mean() for d in shifts]
    return float(shifts[int(np.argmin(errors))])


def compare(recording: Recording, look: Look) -> tuple[dict[str, float], list[np.ndarray]]:
    """Compute the measures of a rollout (see the top of this file); also return pairs of frames side by side."""
    worlds = make_worlds(recording)
    if recording.maze:
        fit_rooms(worlds, recording, look)
    rows: list[tuple[float, ...]] = []
    pairs = []
    for t in range(len(recording.frames)):
        pose(worlds[0], recording, t)
        real, ours = recording.frames[t], draw(worlds, look)[0]
        a, b = (x.astype(np.float64) @ (0.299, 0.587, 0.114) for x in (real, ours))
        rows.append((colour_error(real, ours), ssim(a, b), edges(a, b), abs(row_shift(a, b))))
        pairs.append(np.concatenate([real, ours], 1))
    table = np.array(rows)
    return {
        "colour": table[:, 0].mean(),
        "ssim": table[:, 1].mean(),
        "edges": table[:, 2].mean(),
        "rows": float(np.median(table[:, 3])),
    }, pairs


def sheet(pairs: list[np.ndarray], columns: int = 4, enlarge: int = 3) -> np.ndarray:
    """Arrange pairs of frames (recorded left, litelab right) in a grid."""
    pairs = pairs[: len(pairs) // columns * columns]
    rows = [
        np.concatenate([np.pad(p, ((0, 2), (0, 2), (0, 0))) for p in pairs[k : k + columns]], 1)
        for k in range(0, len(pairs), columns)
    ]
    return np.concatenate(rows).repeat(enlarge, 0).repeat(enlarge, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--recordings", type=Path, default=os.environ.get("FLEXLAM_DMLAB_RECORDINGS"), help="folder with rollouts/"
    )
    parser.add_argument("--levels", nargs="+", metavar="LEVEL", help="levels to compare (default: all recorded ones)")
    parser.add_argument("--textures", choices=TEXTURE_SETS, default="procedural")
    parser.add_argument("--frames", type=int, default=48, help="frames per rollout")
    parser.add_argument("--pictures", type=Path, help="folder for a sheet of frames side by side per level")
    options = parser.parse_args()
    if options.recordings is None or not (options.recordings / "rollouts").is_dir():
        parser.error(
            f"no recordings at {str(options.recordings)!r}: name a folder with rollouts/ by --recordings or "
            "FLEXLAM_DMLAB_RECORDINGS"
        )
    look = load_look(options.textures)
    print("| rollout | colour | ssim | edges | rows |\n|---|---|---|---|---|")
    for path in sorted((options.recordings / "rollouts").glob("*.parquet")):
        if options.levels and path.stem.rpartition("-")[0] not in options.levels:
            continue
        result, pairs = compare(load(path, options.frames), look)
        print(
            f"| {path.stem} | {result['colour']:.1f} | {result['ssim']:.2f} | {result['edges']:.2f} | "
            f"{result['rows']:.2f} |",
            flush=True,
        )
        if options.pictures is not None:
            options.pictures.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sheet(pairs)).save(options.pictures / f"{path.stem}.png")


if __name__ == "__main__":
    main()
