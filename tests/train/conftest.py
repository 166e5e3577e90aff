"""A toy world with known actions: a textured canvas seen through a window that moves, with a distractor that moves by itself."""

from dataclasses import replace

import numpy as np
import pytest

from flexlam_rl.models.config import PRESETS, DecoderConfig, EncoderConfig, LAMConfig

MOVES = ((0, 0), (0, 4), (0, -4), (4, 0), (-4, 0))
SIZE = 32


def toy_world(count: int, seed: int) -> dict[str, np.ndarray]:
    """Labelled transitions: "current", "following" uint8 (B, 32, 32, 3), "action" and "previous" int (B, 1)."""
    rng = np.random.default_rng(seed)
    current = np.empty((count, SIZE, SIZE, 3), np.uint8)
    following = np.empty_like(current)
    action = rng.integers(0, len(MOVES), count)
    for i in range(count):
        coarse = rng.integers(40, 216, (14, 14, 3))
        canvas = np.kron(coarse, np.ones((4, 4, 1))).astype(np.uint8)
        y, x = rng.integers(4, 56 - SIZE - 4, 2)
        dy, dx = MOVES[action[i]]
        spot = rng.integers(0, SIZE - 3, (2, 2))
        for frame, (top, left), (sy, sx) in ((current[i], (y, x), spot[0]), (following[i], (y + dy, x + dx), spot[1])):
            frame[:] = canvas[top : top + SIZE, left : left + SIZE]
            frame[sy : sy + 3, sx : sx + 3] = 255
    return {"current": current, "following": following, "action": action[:, None].astype(np.int64), "previous": np.full((count, 1), -1)}


@pytest.fixture(scope="session")
def world():
    """world(count, seed) gives labelled transitions of the toy world."""
    return toy_world


@pytest.fixture(scope="session")
def toy_lam() -> LAMConfig:
    """A LAM of the toy world's size."""
    return LAMConfig(
        image_size=SIZE,
        slots=4,
        encoder=EncoderConfig(width=64, depth=2, heads=4, patch=8),
        decoder=DecoderConfig(width=96, depth=3, heads=4, ffn=256, patch=8, predict="frame"),
    )


@pytest.fixture(scope="session")
def debug_sequence():
    """The debug sequence model at the toy world's frame size."""
    return replace(PRESETS["debug"].sequence, image_size=SIZE, patch=8)
