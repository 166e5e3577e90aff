"""Small tools of the rules' tests: worlds of a level, playing them, and the recordings of the real DMLab."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.litelab import engine, settings
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels.table import LEVELS

IDLE = np.zeros(7, np.intc)
DREAMER15 = ACTION_SETS["dreamer15"]


def make_world(level: str, **params: str) -> np.ndarray:
    """One world of a level (an array of one record), with level parameters as config text."""
    worlds = np.zeros(1, s.WORLD)
    settings.fill_world(worlds[0], settings.parse(LEVELS[level].path, params, runfiles="litelab"))
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
    """Columns of a recorded rollout of the real DMLab as arrays, and its `meta` (skips where there are no
    recordings).
    """
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = os.environ.get("FLEXLAM_DMLAB_RECORDINGS")
    if not folder:
        pytest.skip("FLEXLAM_DMLAB_RECORDINGS names no folder with recordings of the real DMLab")
    names = ["action", "reward", "position", "rotation", "map_frame_number", "frames_remaining", "instruction"]
    table = parquet.read_table(Path(folder) / "rollouts" / f"{level}-{seed}.parquet", columns=names)
    columns = {name: np.array(table[name].to_pylist()) for name in names}
    columns["meta"] = json.loads(table.schema.metadata[b"dmlab"])
    return columns


def arena(text: str, level: str = "lasertag_one_opponent_small", **params: str) -> np.ndarray:
    """A lasertag world whose maze is `text` (rows of letters); begun, and its bots stand still."""
    worlds = make_world(level, **params)
    w = worlds[0]
    rows = text.strip("\n").split("\n")
    w["rows"], w["cols"] = len(rows), len(rows[0])
    for r, row in enumerate(rows):
        w["letter"][r, : len(row)] = [ord(x) for x in row]
    w["given_maze"] = w["given_variations"] = 1
    engine.begin(worlds, 0, 1)
    still(worlds)
    return worlds


def still(worlds: np.ndarray) -> None:
    """Keep the bots from thinking."""
    for bot in worlds[0]["players"][1:]:
        bot["think_ms"] = 1_000_000_000
        bot["enemy"] = -1
        bot["rest_ms"] = 0
        bot["target"] = -1
        bot["dist"] = 65535


def put(player: Any, x: float, y: float, yaw: float = 0.0, z: float = 25.125) -> None:
    """Stand a player somewhere; yaw in degrees."""
    player["pos"] = (x, y, z)
    player["vel"] = 0.0
    player["yaw"] = round(yaw * 65536 / 360)
    player["pitch"] = 0
