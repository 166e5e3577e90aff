"""Gymnasium spaces of DeepMind Lab's observations."""

import string
from collections.abc import Iterable, Sequence

import numpy as np
from gymnasium import spaces

from flexlam_rl.envs.litelab.observations import CAMERAS, IMAGES, NAMES, observation_spec

INSTRUCTION_CHARSET = string.ascii_letters + string.digits + " _'.,?"
_MAZE_CHARSET = string.ascii_letters + string.digits + string.punctuation + " \n"
_NONNEGATIVE = ("MAP_FRAME_NUMBER", "FRAMES_REMAINING_AT_60")


def text_space(name: str) -> spaces.Text:
    """Make the space of a text observation."""
    if name == "INSTR":
        return spaces.Text(max_length=64, min_length=0, charset=INSTRUCTION_CHARSET)
    length = 256 if name == "DEBUG.PLAYERS.NAME" else 65 * 64
    return spaces.Text(max_length=length, min_length=0, charset=_MAZE_CHARSET)


def observation_space(names: Sequence[str], width: int, height: int, players: int) -> spaces.Space:
    """Make the space of observations: bare for one name, a `Dict` for several.

    Args:
        names: Names of observations, as `check_names` returns them.
        width, height: Size of image observations in pixels.
        players: Number of players of the level, which determines the shape of some observations.
    """
    rows = {row["name"]: row for row in observation_spec(width, height)}
    result: dict[str, spaces.Space] = {}
    for name in names:
        row = rows[name]
        if row["dtype"] is str:
            result[name] = text_space(name)
            continue
        shape = tuple(players if size == 0 else size for size in row["shape"])
        if name in IMAGES or name in CAMERAS or row["dtype"] is np.uint8:
            result[name] = spaces.Box(0, 255, shape, np.uint8)
        else:
            result[name] = spaces.Box(0.0 if name in _NONNEGATIVE else -np.inf, np.inf, shape, np.float64)
    return result[names[0]] if len(names) == 1 else spaces.Dict(result)


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Check names of observations and return them as a tuple; a single name may be given as a string.

    Raises:
        ValueError: A name is unknown or occurs twice, or there is no name.
    """
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, Iterable):
        raise ValueError(f"observations must be one or more names, got {names!r}.")
    names = tuple(names)
    for name in names:
        if not isinstance(name, str) or name not in NAMES:
            raise ValueError(f"Unknown observation {name!r}: expected names among {', '.join(NAMES)}.")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"observations must be one or more different names, got {names!r}.")
    return names
