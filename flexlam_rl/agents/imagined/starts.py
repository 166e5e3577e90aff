"""The real frames that imagined episodes begin with, from rollouts on disk or from a world that is played.

Shapes: T frames of a context, H W C frame.
"""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.numbers import whole

_DRAWS = 0x57A7  # separates the choice of a start from other uses of an episode's seed


class Start(NamedTuple):
    """Real frames that an imagined episode begins with."""

    frames: np.ndarray
    """uint8 (T, H, W, C)."""
    actions: np.ndarray | None
    """Actions between the frames, (T - 1,); None where they are not known."""
    level: str
    """Name of the level."""


class Starts(Protocol):
    """A source of real frames to begin with; the same seed gives the same frames in every process."""

    def draw(self, seed: int) -> Start:
        """Return the start of a seed."""
        ...


class StoredStarts:
    """Starts drawn uniformly from all runs of T frames in rollouts.

    Args:
        rollouts: Rollouts, as `open_rollouts` returns them.
        context: Number of frames, T.

    Raises:
        ValueError: No episode has T frames.
    """

    def __init__(self, rollouts: Any, context: int) -> None:
        from flexlam_rl.datasets import Windows

        single = all(store.with_actions and store.action.dtype.kind in "iu" for store in rollouts.stores)
        self.rollouts = rollouts
        self._windows = Windows(rollouts, context, ("action",) if single else ())
        self.shape = self._windows.frame_shape

    def draw(self, seed: int) -> Start:
        """Return the start of a seed."""
        number = int(np.random.default_rng([_DRAWS, seed]).integers(len(self._windows)))
        read = self._windows.read(np.array([number]))
        actions = read.get("action")
        kept = None if actions is None or actions.ndim != 2 else actions[0, :-1]
        level = self.rollouts.levels[int(read["level"][0])]
        return Start(read["frames"][0], kept, str(level))


class PlayedStarts:
    """Starts from a level in which random actions are played, for a random number of steps.

    Args:
        task: Name of the level.
        spec: Record of the environment: how it is shown and controlled.
        context: Number of frames, T.
        warm_up: Largest number of steps before the frames.
        evaluation: Whether the level's episodes are held-out ones.
    """

    def __init__(self, task: str, spec: EnvSpec, context: int, warm_up: int = 64, evaluation: bool = False) -> None:
        from flexlam_rl.agents.environments import make_single

        self.context, self.warm_up = context, whole(warm_up, "warm_up")
        self.task = task
        self._env: Any = make_single(spec, task, evaluation)
        self.shape = (spec.height, spec.width, 3)

    def draw(self, seed: int) -> Start:
        """Return the start of a seed; its frames do not cross a restart of the map.

        Raises:
            ValueError: The level's episode ended within the frames.
        """
        from flexlam_rl.agents.policy.random import RandomPolicy
        from flexlam_rl.envs.observations import frames_of

        rng = np.random.default_rng([_DRAWS, seed])
        player = RandomPolicy(self._env, int(rng.integers(2**31)))
        steps = int(rng.integers(self.warm_up + 1))
        observation, _ = self._env.reset(options={"episode_seed": seed})
        frames = [np.array(frames_of(observation))]
        actions: list[Any] = []
        while steps > 0 or len(frames) < self.context:
            action = player.predict(observation)[0]
            observation, _, terminated, truncated, info = self._env.step(action)
            if terminated or truncated:
                raise ValueError(f"An episode of {self.task!r} ended within the {self.context} frames of a start.")
            if info.get("map_reset"):
                frames, actions = [], []
            else:
                actions.append(action)
            frames.append(np.array(frames_of(observation)))
            frames, actions = frames[-self.context :], actions[-(self.context - 1) :] if self.context > 1 else []
            steps -= 1
        given = np.array(actions) if np.ndim(actions) == 1 else None
        return Start(np.stack(frames), given, self.task)


def make_starts(
    given: Any,
    context: int,
    shape: tuple[int, int, int],
    levels: Any = None,
    split: str = "train",
    spec: EnvSpec | None = None,
    evaluation: bool = False,
) -> Starts:
    """Make the starts that a caller asks for.

    Args:
        given: A folder of rollouts, the name of a level of DMLab, or an object with `draw`.
        context: Number of frames, T.
        shape: Shape of the model's frames, (H, W, C).
        levels, split: Levels and split of the rollouts.
        spec: How a level is shown; None for DMLab's defaults.
        evaluation: Whether a level's episodes are held-out ones.

    Raises:
        ValueError: `given` is none of these, or its frames have another size.
    """
    if hasattr(given, "draw"):
        chosen: Starts = given
        return chosen
    found: Any
    if isinstance(given, str | Path) and Path(given).exists():
        from flexlam_rl.datasets import open_rollouts

        found = StoredStarts(open_rollouts(given, levels, split), context)
    elif isinstance(given, str):
        from dataclasses import replace

        from flexlam_rl.envs.domain import find_domain
        from flexlam_rl.envs.domains.dmlab.levels import level_named

        try:
            task = level_named(given).name
        except ValueError:
            raise ValueError(f"starts is {given!r}; expected a folder of rollouts, or the name of a level.") from None
        plain = EnvSpec() if spec is None else spec
        sized = replace(plain, height=shape[0], width=shape[1])
        found = PlayedStarts(task, find_domain(sized.domain).resolve(sized), context, evaluation=evaluation)
    else:
        raise ValueError(f"starts is {given!r}; expected a folder of rollouts, or the name of a level.")
    if tuple(found.shape) != shape:
        raise ValueError(f"The starts have frames of shape {tuple(found.shape)}; those of the model are {shape}.")
    made: Starts = found
    return made
