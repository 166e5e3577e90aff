"""Synthetic rollouts in which every frame carries its own address, so that a wrong neighbour cannot hide."""

import math

import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.schema import Origin

ORIGIN = Origin(engine="synthetic", engine_version="1", action_set="counter", action_hash="c" * 64, policy="counter")
SHAPE = (8, 8, 3)


def stamp(level: int, episode: int, segment: int, rows: np.ndarray) -> np.ndarray:
    """Frames whose first bytes hold level, episode, segment and row within the episode; the rest is noise that zstd
    cannot shrink away.
    """
    rows = np.asarray(rows)
    frames = np.random.default_rng(level * 1_000_003 + episode).integers(0, 256, (len(rows), *SHAPE), dtype=np.uint8)
    numbers = np.stack(
        [np.full(len(rows), level), np.full(len(rows), episode), np.broadcast_to(segment, len(rows)), rows], 1
    ).astype("<u4")
    frames.reshape(len(rows), -1)[:, :16] = numbers.view(np.uint8).reshape(len(rows), 16)
    return frames


def read_stamps(frames: np.ndarray) -> np.ndarray:
    """(..., 4) level, episode, segment, row of frames (..., H, W, C)."""
    flat = np.ascontiguousarray(frames.reshape(*frames.shape[:-3], math.prod(frames.shape[-3:]))[..., :16])
    return flat.view("<u4")


def episode(
    level: int, number: int, length: int, restarts: tuple[int, ...] = (), last: bool = True, key: int | None = None
) -> Episode:
    """An episode of `length` actions, action t = t mod 1000, reward t, map restarts before the given rows."""
    rows = np.arange(length + bool(last))
    restart = np.isin(rows, restarts)
    action = np.arange(length) % 1000
    return Episode(
        frames=stamp(level, number, np.cumsum(restart), rows),
        action=action.astype(np.int16),
        action_native=np.repeat(action[:, None], 7, 1).astype(np.int16),
        reward=np.arange(length, dtype=np.float32),
        truncated=True,
        restart=restart,
        instruction=[f"text {number % 3}"] * len(rows),
        seed=number * 7,
        key=number if key is None else key,
    )


def valid_starts(episodes: list[Episode], span: int) -> set[tuple[int, int]]:
    """(episode, row) of all valid spans, found the slow way."""
    found = set()
    for number, one in enumerate(episodes):
        for row in range(one.rows - span + 1):
            if not one.restart[row + 1 : row + span].any():
                found.add((number, row))
    return found
