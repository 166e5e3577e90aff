"""Small tools of the rules' tests: worlds of a level, playing them, and the recordings of the real DMLab."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.envs.actions import ACTION_SETS
from flexlam_rl.envs.litelab import engine, settings
from flexlam_rl.envs.litelab import state as s

IDLE = np.zeros(7, np.intc)
DREAMER15 = ACTION_SETS["dreamer15"]


def make_world(level: str, **params: str) -> np.ndarray:
    """One world of a level (an array of one record), with level parameters as config text."""
    worlds = np.zeros(1, s.WORLD)
    settings.fill_world(worlds[0], settings.parse("contributed/dmlab30/" + level, params, runfiles="litelab"))
    return worlds


def native(**buttons: int) -> np.ndarray:
    """A native action: right, down, strafe, forward, fire, jump, crouch."""
    names = ("right", "down", "strafe", "forward", "fire", "jump", "crouch")
    return np.array([buttons.get(name, 0) for name in names], np.intc)


def play(worlds: np.ndarray, action: np.ndarray = IDLE, frames: int = 1) -> float:
    """Play frames of the only world; returns the reward."""
    return engine.advance(worlds, 0, action, frames)


def random_return(worlds: np.ndarray, seed: int) -> float:
    """Return of one whole episode of the uniform random policy over dreamer15 at frame skip 4."""
    rng = np.random.default_rng(seed)
    engine.begin(worlds, 0, seed)
    table = DREAMER15.table
    total = 0.0
    while worlds[0]["running"]:
        total += engine.advance(worlds, 0, table[rng.integers(len(table))], 4)
    return total


def episode_trace(level: str, seed: int, steps: int) -> bytes:
    """The whole record of a world after random steps, to compare runs byte by byte."""
    worlds = make_world(level)
    rng = np.random.default_rng(seed)
    engine.begin(worlds, 0, seed)
    table = DREAMER15.table
    for _ in range(steps):
        engine.advance(worlds, 0, table[rng.integers(len(table))], 4)
    return worlds.tobytes()


def rollout(level: str, seed: int) -> dict[str, Any]:
    """Columns of a recorded rollout of the real DMLab as arrays, and its `meta` (skips where there are no recordings)."""
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = os.environ.get("FLEXLAM_DMLAB_RECORDINGS")
    if not folder:
        pytest.skip("FLEXLAM_DMLAB_RECORDINGS names no folder with recordings of the real DMLab")
    names = ["action", "reward", "position", "rotation", "map_frame_number", "frames_remaining", "instruction"]
    table = parquet.read_table(Path(folder) / "rollouts" / f"{level}-{seed}.parquet", columns=names)
    columns = {name: np.array(table[name].to_pylist()) for name in names}
    columns["meta"] = json.loads(table.schema.metadata[b"dmlab"])
    return columns
