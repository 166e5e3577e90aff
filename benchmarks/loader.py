"""Measure random transition pairs and 34-frame windows per second, and bytes per frame, of the rollout store and of
other ways to store the same frames.

    python benchmarks/loader.py [--json FILE] [--frames N] [--seconds S] [--layouts]

The frames are recordings of the real DeepMind Lab, if FLEXLAM_DMLAB_RECORDINGS names them, else random play on litelab.
Every way stores the same frames in the same episodes, in one run, and returns NumPy batches of 256 pairs or 32 windows,
drawn uniformly. They take turns, and the best round counts, so that other jobs distort the result less. Files are in
the page cache, so that decoding is measured and not the disk.

    store             this project's store, read by two threads
    raw_cache         its raw local cache, read by two threads
    minari            Minari with its defaults (HDF5, JPEG), which reads a whole episode per item
    minari_lossless   Minari with jpeg_encoding=False
    hdf5              one h5py dataset (N, 64, 64, 3), chunks of 4 frames, gzip 4
    memmap            one raw file, numpy.memmap

JSON keys, for each of these: pairs_per_s, windows_per_s and bytes_per_frame; pairs_per_cpu_s and windows_per_cpu_s,
items per second of processor time of all threads, which depend less on other jobs. Also `frames`, `source`, `machine`.
With --layouts, the chunk sizes and codecs of the store are measured instead (printed, and under `layouts`).
"""

import argparse
import datetime
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets import Episode, Origin, RolloutStore, RolloutWriter, TransitionPairs, Windows

PAIRS, WINDOWS, LENGTH = 256, 32, 34
WORKERS = 2
RATES = ("pairs_per_s", "pairs_per_cpu_s", "windows_per_s", "windows_per_cpu_s")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def recorded(limit: int) -> tuple[list[np.ndarray], str]:
    """Return episodes of the recordings, or of random play on litelab, and their name."""
    folder = os.environ.get("FLEXLAM_DMLAB_RECORDINGS")
    if folder:
        return cut(decoded(Path(folder, "rollouts")), limit), "recordings of the real DeepMind Lab"
    return cut(played(), limit), "random play on litelab, explore levels"


def decoded(folder: Path) -> Iterator[np.ndarray]:
    """Yield the episodes of parquet files, one per file."""
    import pyarrow.parquet as pq

    from flexlam_rl.datasets.pictures import decode_all

    for file in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(file, columns=["observation"])["observation"].to_pylist()
        yield decode_all([row["bytes"] for row in rows])


def played() -> Iterator[np.ndarray]:
    """Yield episodes of 600 frames of a random walk in each explore level."""
    import gymnasium as gym

    import flexlam_rl  # noqa: F401 - registers the environments
    from flexlam_rl.envs.domains.dmlab.levels import LEVELS

    random = np.random.default_rng(0)
    for name in LEVELS:
        if not name.startswith("explore"):
            continue
        env = gym.make("FlexLAM-DMLab-v0", level=name, engine="litelab")
        for seed in range(4):
            frames, action = [env.reset(seed=seed)[0]], 0
            for _ in range(599):
                if random.random() < 0.3:
                    action = int(random.choice([0, 0, 0, 4, 5, 6, 7, 10, 11, 12, 13]))
                frames.append(env.step(action)[0])
            yield np.stack(frames)


def cut(episodes: Iterator[np.ndarray], limit: int) -> list[np.ndarray]:
    """Take whole episodes, up to a number of frames."""
    kept: list[np.ndarray] = []
    for episode in episodes:
        if sum(map(len, kept)) + len(episode) > limit and kept:
            break
        kept.append(episode)
    return kept


def size(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


@dataclass
class Way:
    """A way to store frames: its size, and functions that read a batch of pairs and of windows."""

    nbytes: int
    pairs: Callable[[], Any]
    windows: Callable[[], Any]
    pairs_size: int = PAIRS
    windows_size: int = WINDOWS


class Starts:
    """Uniform random items that stay inside their episode."""

    def __init__(self, episodes: list[np.ndarray]) -> None:
        self._lengths = np.array([len(episode) for episode in episodes])
        self._first = np.cumsum(self._lengths) - self._lengths
        self._random = np.random.default_rng(0)

    def inside(self, span: int, count: int) -> list[tuple[int, int]]:
        """Draw (episode, row) of random items."""
        chosen = self._random.choice(
            len(self._lengths), count, p=(self._lengths - span + 1) / (self._lengths - span + 1).sum()
        )
        return [(int(e), int(self._random.integers(self._lengths[e] - span + 1))) for e in chosen]

    def rows(self, span: int, count: int) -> list[int]:
        """Draw random items as row numbers."""
        return [int(self._first[e]) + row for e, row in self.inside(span, count)]


def write_store(root: Path, episodes: list[np.ndarray], **layout: Any) -> tuple[RolloutStore, float]:
    """Write a store of the episodes; return it, and the seconds of processor time that this took."""
    start = time.process_time()
    with RolloutWriter(root, "bench", "train", Origin(engine="benchmark"), **layout) as writer:
        for key, frames in enumerate(episodes):
            steps = len(frames)
            writer.append_episode(Episode(frames, np.zeros(steps, np.int16), np.zeros(steps, np.float32), key=key))
    return RolloutStore(writer.path), time.process_time() - start


def stored(store: RolloutStore, cache: Path | None, workers: int = WORKERS) -> Way:
    """Make the way of the store, or of its raw cache."""
    pairs = TransitionPairs(store, cache=cache).batches(PAIRS, workers=workers)
    windows = Windows(store, LENGTH, cache=cache).batches(WINDOWS, workers=workers)
    return Way(size(cache) if cache else size(store.path), lambda: next(pairs), lambda: next(windows))


def minari(folder: Path, store: RolloutStore, starts: Starts, jpeg: bool) -> Way:
    """Make the way of Minari's own reader, which reads one episode at a time."""
    from flexlam_rl.datasets.formats.minari import export_minari

    dataset = export_minari(store, folder / "data", jpeg=jpeg)

    def read(span: int, count: int) -> np.ndarray:
        return np.stack([dataset[e].observations[row : row + span] for e, row in starts.inside(span, count)])

    return Way(size(folder), lambda: read(2, 4), lambda: read(LENGTH, 4), 4, 4)


def hdf5(file: Path, episodes: list[np.ndarray], starts: Starts) -> Way:
    """Make the way of a single compressed h5py dataset."""
    import h5py

    frames = np.concatenate(episodes)
    with h5py.File(file, "w") as out:
        out.create_dataset("frames", data=frames, chunks=(4, *frames.shape[1:]), compression="gzip", compression_opts=4)
    data = h5py.File(file, "r")["frames"]

    def read(span: int, count: int) -> np.ndarray:
        return np.stack([data[row : row + span] for row in starts.rows(span, count)])

    return Way(size(file), lambda: read(2, PAIRS), lambda: read(LENGTH, WINDOWS))


def memmap(file: Path, episodes: list[np.ndarray], starts: Starts) -> Way:
    """Make the way of a single raw file."""
    frames = np.concatenate(episodes)
    frames.tofile(file)
    data = np.memmap(file, np.uint8, "r", shape=frames.shape)

    def read(span: int, count: int) -> np.ndarray:
        return np.stack([data[row : row + span] for row in starts.rows(span, count)])

    return Way(size(file), lambda: read(2, PAIRS), lambda: read(LENGTH, WINDOWS))


def rate(read: Callable[[], Any], count: int, seconds: float) -> tuple[float, float]:
    """Measure items per second, and per second of this process's processor time, over at least `seconds`, after one
    warm-up batch.
    """
    read()
    done, start, processor = 0, time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - start) < seconds or not done:
        read()
        done += count
    return done / spent, done / (time.process_time() - processor)


def measure(ways: dict[str, Way], frames: int, seconds: float, rounds: int = 3) -> dict[str, dict[str, float]]:
    """Measure the rates of every way, as the best of some rounds in which they take turns."""
    found = {
        name: dict.fromkeys(RATES, 0.0) | {"bytes_per_frame": round(way.nbytes / frames, 1)}
        for name, way in ways.items()
    }
    for _ in range(rounds):
        for name, way in ways.items():
            rates = (*rate(way.pairs, way.pairs_size, seconds), *rate(way.windows, way.windows_size, seconds))
            for key, value in zip(RATES, rates, strict=True):
                found[name][key] = round(max(found[name][key], value), 1)
    return found


def layouts(folder: Path, episodes: list[np.ndarray], seconds: float) -> dict[str, dict[str, float]]:
    """Measure chunk sizes and codecs of the store."""
    frames = sum(map(len, episodes))
    ways, write = {}, {}
    settings = [("zstd", 3, c) for c in (1, 2, 4, 8, 16)] + [("zstd", 1, 4), ("zstd", 6, 4), ("zstd", 9, 4)]
    settings += [("lz4hc", 5, 4), ("lz4hc", 9, 8), ("none", 0, 4)]
    for codec, level, chunk in settings:
        name = f"{codec} {level}, {chunk} frames per chunk"
        store, spent = write_store(
            folder / name.replace(" ", "_"), episodes, codec=codec, compression=level, chunk=chunk
        )
        ways[name] = stored(store, None)
        write[name] = spent / frames * 1e6
    found = measure(ways, frames, seconds)
    for name, spent in write.items():
        found[name]["write_us_per_frame"] = round(spent, 1)
    return found


def table(found: dict[str, dict[str, float]], raw: int) -> str:
    """Write the result as text."""
    rows = [f"{'':28}{'pairs/s':>12}{'per CPU s':>12}{'windows/s':>12}{'per CPU s':>12}{'B/frame':>10}{'of raw':>8}"]
    for name, values in found.items():
        rates, nbytes = "".join(f"{values[key]:12,.0f}" for key in RATES), values["bytes_per_frame"]
        written = f"   writing {values['write_us_per_frame']:.0f} us/frame" if "write_us_per_frame" in values else ""
        rows.append(f"{name:28}{rates}{nbytes:10,.0f}{nbytes / raw:8.2f}{written}")
    return "\n".join(rows)


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description="Measure the reading speed of rollouts; see the head of this file.")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--frames", type=int, default=20_000, help="largest number of frames to use")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of each measurement (three rounds)")
    parser.add_argument("--layouts", action="store_true", help="measure chunk sizes and codecs of the store instead")
    options = parser.parse_args()
    episodes, where = recorded(options.frames)
    frames, raw = sum(map(len, episodes)), int(np.prod(episodes[0].shape[1:]))
    print(f"{frames:,} frames in {len(episodes)} episodes: {where}")
    names = ("numpy", "numcodecs", "tensorstore", "zarr", "h5py", "minari")
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": CORES,
        "load": os.getloadavg()[0],
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }
    with tempfile.TemporaryDirectory(prefix="flexlam-loader-") as name:
        folder = Path(name)
        if options.layouts:
            result: dict[str, Any] = {"layouts": layouts(folder, episodes, options.seconds)}
            print(table(result["layouts"], raw))
        else:
            starts = Starts(episodes)
            store, _ = write_store(folder, episodes)
            ways = {
                "store": stored(store, None),
                "raw_cache": stored(store, folder / "cache"),
                "minari": minari(folder / "minari", store, starts, jpeg=True),
                "minari_lossless": minari(folder / "lossless", store, starts, jpeg=False),
                "hdf5": hdf5(folder / "frames.h5", episodes, starts),
                "memmap": memmap(folder / "frames.raw", episodes, starts),
            }
            result = dict(measure(ways, frames, options.seconds))
            print(table(result, raw))
    if options.json:
        options.json.write_text(
            json.dumps({**result, "frames": frames, "source": where, "machine": machine}, indent=1) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
