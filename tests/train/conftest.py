"""A toy world with known actions: a textured canvas seen through a window that moves, with a distractor that moves by
itself.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.datasets import RolloutWriter
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.models.flexlam.config import PRESETS, DecoderConfig, EncoderConfig, LAMConfig
from flexlam_rl.models.flexlam.options import TrainArgs

MOVES = ((0, 0), (0, 4), (0, -4), (4, 0), (-4, 0))
SIZE = 32


def texture(rng: np.random.Generator, top: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Views of one endless texture of random waves, (2, 32, 32, 3) uint8, from two places (2,) each."""
    at = np.arange(SIZE) * (2 * np.pi / 56)
    down, across = rng.integers(1, 5, (2, 4, 3)) * rng.choice((-1, 1), (2, 4, 3))
    y, x = (at + start[:, None] * (2 * np.pi / 56) for start in (top, left))
    waves = np.sin(
        y[:, :, None, None, None] * down + x[:, None, :, None, None] * across + rng.uniform(0, 2 * np.pi, (4, 3))
    )
    return np.clip(128 + 45 * waves.sum(3), 0, 255).astype(np.uint8)


def toy_world(count: int, seed: int) -> dict[str, np.ndarray]:
    """Labelled transitions: "obs", "next_obs" uint8 (B, 32, 32, 3), "action" and "previous" int (B, 1)."""
    rng = np.random.default_rng(seed)
    frames = np.empty((2, count, SIZE, SIZE, 3), np.uint8)
    action, previous = rng.integers(0, len(MOVES), (2, count))
    # as players do, it often goes on as before
    action = np.where(rng.random(count) < 0.3, previous, action)
    for i in range(count):
        (y, x), (dy, dx) = rng.integers(0, 56, 2), MOVES[action[i]]
        frames[:, i] = texture(rng, np.array([y, y + dy]), np.array([x, x + dx]))
        for frame, (top, left) in zip(frames[:, i], rng.integers(0, SIZE - 3, (2, 2)), strict=True):
            frame[top : top + 3, left : left + 3] = 255
    return {
        "obs": frames[0],
        "next_obs": frames[1],
        "action": action[:, None].astype(np.int64),
        "previous": previous[:, None],
    }


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
        decoder=DecoderConfig(width=96, depth=2, heads=4, ffn=192, patch=8, predict="frame"),
    )


@pytest.fixture(scope="session")
def debug_sequence():
    """The debug sequence model at the toy world's frame size."""
    return replace(PRESETS["debug"].sequence, image_size=SIZE, patch=8)


def episode(seed: int, length: int = 40, actions: int = 15) -> Episode:
    """A random texture that each action shifts by as many pixels as its number."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, actions, length).astype(np.int16)
    texture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    shifts = np.concatenate([[0], np.cumsum(action)])
    return Episode(
        np.stack([np.roll(texture, s, 1) for s in shifts]),
        action,
        np.zeros(length, np.float32),
        truncated=True,
        seed=seed,
        key=seed,
    )


def write_rollouts(root: Path) -> Path:
    """Two levels with a training and a test split each."""
    actions = action_set("dreamer15")
    origin = Origin(engine="synthetic", action_set=actions.name, action_table=actions.rows, action_hash=actions.hash)
    for number, level in enumerate(("alpha", "beta")):
        for split, count in (("train", 3), ("test", 2)):
            with RolloutWriter(root, level, split, origin) as writer:
                writer.append_episodes([episode(1000 * number + 100 * (split == "test") + i) for i in range(count)])
    return root


@pytest.fixture(scope="session")
def make_episode():
    """make_episode(seed, length=40) gives an episode that the preset "debug" takes."""
    return episode


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory) -> Path:
    """Folder of rollouts on disk."""
    return write_rollouts(tmp_path_factory.mktemp("rollouts"))


@pytest.fixture
def args(rollouts, tmp_path) -> TrainArgs:
    """Options of a quick training on them."""
    return TrainArgs(data=rollouts, out=tmp_path / "run", preset="debug", label_count=60)


@pytest.fixture(scope="session")
def make_rollouts():
    """make_rollouts(root) writes small rollouts, and gives the folder."""
    return write_rollouts


@pytest.fixture(scope="session")
def stages():
    """Stages of the toy world, by name: the module beside this file."""
    from tests.train import stages

    return stages
