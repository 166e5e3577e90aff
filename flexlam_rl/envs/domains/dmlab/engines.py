"""What an environment needs of an engine, and the choice between the two."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from flexlam_rl.envs.domains.dmlab.options import ENGINES, HUDS, Options, check_options, choose_engine
from flexlam_rl.envs.errors import ConfigRefused

__all__ = ["ENGINES", "HUDS", "Engine", "Options", "check_options", "choose_engine", "config_refusals", "make_engine"]


class Engine(Protocol):
    """What an environment needs of an engine; observations are bare for one name, else dictionaries."""

    name: str
    players: int
    has_events: bool

    def reset(self, seed: int) -> Any:
        """Begin the episode of a seed in [0, 2**31) and return its first observation."""

    def prepare(self, action: Sequence[int]) -> np.ndarray:
        """Seven native actions in the form that `step` takes."""

    def step(self, action: np.ndarray, frames: int) -> tuple[Any, float, int, int, int]:
        """Play frames of a prepared action.

        Returns (observation, reward, end, map restarts, frames played); `end` is 0 running, 1 terminated, 2 truncated.
        """

    def picture(self, width: int, height: int) -> np.ndarray:
        """The player's view, (height, width, 3) uint8."""

    def events(self) -> list[tuple[str, list[Any]]]:
        """Events since the last call."""

    def close(self) -> object:
        """Release the engine."""


@contextmanager
def config_refusals() -> Iterator[None]:
    """Raise what litelab says of a `config` as an error of the environment's options.

    Raises:
        ConfigRefused: litelab refused a key or a value.
    """
    try:
        yield
    except RuntimeError as error:
        raise ConfigRefused(f"config is refused: {error}") from error


def make_engine(options: Options) -> Engine:
    """Make the engine of checked options."""
    if options.spec.engine == "litelab":
        from flexlam_rl.envs.litelab.single import LitelabEngine

        with config_refusals():
            return LitelabEngine(options.path, options.observations, options.config)
    from flexlam_rl.envs.domains.dmlab.real_engine import RealEngine

    return RealEngine(options)
