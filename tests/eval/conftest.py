"""Rollouts on disk of a small world whose actions shift the picture, for tests that need a whole folder."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.datasets import RolloutWriter
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.envs.domains.dmlab import levels
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.envs.litelab.levels import table


def episode(seed: int, length: int, with_actions: bool) -> Episode:
    """A random texture that each action shifts by as many pixels as its number."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 15, length).astype(np.int16)
    texture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    shifts = np.concatenate([[0], np.cumsum(action)])
    frames = np.stack([np.roll(texture, s, 1) for s in shifts])
    if not with_actions:
        return Episode(frames, truncated=True, seed=seed, key=seed)
    return Episode(frames, action, np.zeros(length, np.float32), truncated=True, seed=seed, key=seed)


def write_rollouts(
    root: Path, with_actions: bool = True, levels: tuple[str, ...] = ("alpha", "beta"), **origin_of: str
) -> Path:
    """Two levels with a training split of three episodes and a test split of two."""
    actions = action_set("dreamer15")
    origin = Origin(
        **{"engine": "synthetic", **origin_of},
        action_set=actions.name,
        action_table=actions.rows,
        action_hash=actions.hash,
    )
    for number, level in enumerate(levels):
        for split, count in (("train", 3), ("test", 2)):
            with RolloutWriter(root, level, split, origin, with_actions=with_actions) as writer:
                writer.append_episodes(
                    [episode(1000 * number + 100 * (split == "test") + i, 40, with_actions) for i in range(count)]
                )
    return root


@pytest.fixture(scope="session")
def rollouts(tmp_path_factory) -> Path:
    return write_rollouts(tmp_path_factory.mktemp("rollouts"))


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    """The same without actions."""
    return write_rollouts(tmp_path_factory.mktemp("video"), with_actions=False)


def shorten_episodes(patch: pytest.MonkeyPatch) -> None:
    """Let the episodes of DMLab's levels last a twelfth of their time: 75 steps at least, and not 900."""
    for known in (levels.LEVELS, table.LEVELS):
        for name, level in known.items():
            patch.setitem(known, name, replace(level, seconds=level.seconds // 12))


SHORT_FLEXLAM = """
import sys, pytest
from tests.eval.conftest import shorten_episodes
shorten_episodes(pytest.MonkeyPatch())
from flexlam_rl.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""Code that runs the command `flexlam` in a process with short episodes."""


@pytest.fixture(scope="module")
def short_episodes() -> Iterator[None]:
    """Episodes of DMLab's levels are short while a module's tests run, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        shorten_episodes(patch)
        yield
