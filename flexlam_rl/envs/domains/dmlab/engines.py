"""The interface that an environment needs of an engine, and the choice between the two engines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from flexlam_rl.envs.domains.dmlab.options import ENGINES, HUDS, Options, check_options, choose_engine
from flexlam_rl.envs.errors import ConfigRefused

__all__ = ["ENGINES", "HUDS", "Engine", "Options", "check_options", "choose_engine", "config_refusals", "make_engine"]


class Engine(Protocol):
    """The interface of an engine. Observations are bare for a single name, else dictionaries.

    Attributes:
        name: "litelab" or "deepmind_lab".
        players: Number of players in the level, the agent included.
        has_events: Whether `events` can return any.
    """

    name: str
    players: int
    has_events: bool

    def reset(self, seed: int) -> Any:
        """Begin the episode of a seed in [0, 2**31) and return its first observation."""

    def prepare(self, action: Sequence[int]) -> np.ndarray:
        """Convert the seven numbers of a native action to the form that `step` takes."""

    def step(self, action: np.ndarray, frames: int) -> tuple[Any, float, int, int, int]:
        """Play `frames` frames with a prepared action.

        Returns:
            (observation, reward, end, map restarts, frames played); `end` is 0 (running), 1 (terminated) or 2
            (truncated).
        """

    def picture(self, width: int, height: int) -> np.ndarray:
        """The player's view, (height, width, 3) uint8."""

    def events(self) -> list[tuple[str, list[Any]]]:
        """Events since the last call."""

    def close(self) -> object:
        """Release the engine."""


@contextmanager
def config_refusals() -> Iterator[None]:
    """Turn litelab's errors about a `config` into errors about the environment's options.

    Raises:
        ConfigRefused: litelab refused a key or a value.
    """
    try:
        yield
    except RuntimeError as error:
        raise ConfigRefused(f"config is refused: {error}") from error


def make_engine(options: Options) -> Engine:
    """Make the engine for checked options."""
    if options.spec.engine == "litelab":
        from flexlam_rl.envs.litelab.single import LitelabEngine

        with config_refusals():
            return LitelabEngine(options.path, options.observations, options.config)
    from flexlam_rl.envs.domains.dmlab.real_engine import RealEngine

    return RealEngine(options)
