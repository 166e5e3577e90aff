"""Recording: a buffer for one running episode, and a Gymnasium wrapper that stores what it sees."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.errors import StoreError
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.writer import RolloutWriter

FRAME, WORDS = "RGB_INTERLEAVED", "INSTR"


class EpisodeBuffer:
    """Collects one episode, step by step.

    Args:
        native: Actions are DeepMind Lab's seven native ones, not numbers of a table.
    """

    def __init__(self, native: bool = False) -> None:
        self._native = native
        self.clear()

    def clear(self, seed: int = -1) -> None:
        """Begin a new episode."""
        self.seed = seed
        self._frames = np.empty((0,), np.uint8)
        self._count = 0
        self._actions: list[Any] = []
        self._rewards: list[float] = []
        self._restarts: list[int] = []
        self._texts: list[str] = []

    @property
    def length(self) -> int:
        """Actions so far."""
        return len(self._actions)

    def observe(self, frame: np.ndarray, text: str = "", restart: bool = False) -> None:
        """The next observation; `restart`: the map restarted before it."""
        if self._count == len(self._frames):
            grown = np.empty((max(256, 2 * self._count), *np.shape(frame)), np.uint8)
            grown[: self._count] = self._frames[: self._count] if self._count else grown[:0]
            self._frames = grown
        if restart:
            self._restarts.append(self._count)
        self._frames[self._count] = frame
        self._texts.append(text)
        self._count += 1

    def act(self, action: Any, reward: float) -> None:
        """The action taken from the last observation, and what it brought."""
        self._actions.append(action)
        self._rewards.append(reward)

    def finish(self, terminated: bool, truncated: bool, key: int = -1, last: bool = True) -> Episode:
        """The episode; the buffer can be cleared and used again.

        Args:
            terminated, truncated: How it ended.
            key: Its number in the collection.
            last: Whether the observation after the last action is a true one (the real engine only repeats the one before).
        """
        rows = self._count if last else self.length
        restart = np.zeros(rows, bool)
        restart[[row for row in self._restarts if row < rows]] = True
        actions = np.asarray(self._actions, np.int16)
        return Episode(
            frames=self._frames[:rows].copy(),
            action=None if self._native else actions,
            action_native=actions if self._native else None,
            reward=np.asarray(self._rewards, np.float32),
            terminated=terminated,
            truncated=truncated,
            restart=restart,
            instruction=self._texts[:rows] if any(self._texts) else "",
            seed=self.seed,
            key=key,
        )


def origin_of(env: Any, policy: str, policy_params: dict[str, Any] | None = None, seed: int = -1, **changes: Any) -> Origin:
    """The origin of what an environment of this package plays; of any other environment, as far as it tells.

    Args:
        env: A (wrapped) environment.
        policy, policy_params: Who plays.
        seed: Root seed of the collection.
        **changes: Fields of `Origin` to set otherwise.
    """
    from flexlam_rl import __version__

    base = env.unwrapped
    options = dict(env.spec.kwargs) if env.spec is not None else {}
    engine = str(getattr(base, "engine", "unknown"))
    actions = getattr(base, "action_set", None)
    default = {"litelab": "procedural", "deepmind_lab": "original"}.get(engine, "")
    known: dict[str, Any] = {
        "env_id": env.spec.id if env.spec is not None else type(base).__name__,
        "engine": engine,
        "engine_version": str(getattr(base, "engine_version", __version__ if engine == "litelab" else "")),
        "textures": str(options.get("textures", default)) if engine != "deepmind_lab" else default,
        "action_set": actions.name if actions is not None else str(env.action_space),
        "action_table": tuple(tuple(map(int, row)) for row in actions.table) if actions is not None else (),
        "action_hash": actions.hash if actions is not None else "",
        "frame_skip": int(getattr(base, "frame_skip", 1)),
        "hud": str(options.get("hud", "full")),
        "policy": policy,
        "policy_params": policy_params or {},
        "seed": seed,
    }
    return Origin(**{**known, **changes})


class RecordRollouts(gym.Wrapper[Any, Any, Any, Any]):
    """Stores every finished episode that is played through it.

    Args:
        env: An environment with image observations, bare or in a `Dict`.
        root: Folder of the collection.
        split: "train", "test", ...
        policy, policy_params: Who plays; part of the store's origin.
        level: Name of the level, None for the environment's own.
        with_actions: False stores action-free video.
        origin: Replaces what `origin_of` finds.
        **layout: chunk, shard, codec, compression of a new store.

    An episode that is reset before its end is not stored. `close` gives the store back.

    Raises:
        StoreLocked: Another writer is at work on that store.
        StoreError: The environment has no image observation, or no level name.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        root: str | Path,
        split: str = "train",
        *,
        policy: str = "unknown",
        policy_params: dict[str, Any] | None = None,
        level: str | None = None,
        with_actions: bool = True,
        origin: Origin | None = None,
        **layout: Any,
    ) -> None:
        super().__init__(env)
        level = level or getattr(env.unwrapped, "level", None) or (env.spec.id.replace("/", "_") if env.spec is not None else None)
        if level is None:
            raise StoreError("RecordRollouts cannot name the level of this environment: pass level=.")
        space = env.observation_space
        self._dict = isinstance(space, gym.spaces.Dict)
        image = space.spaces.get(FRAME) if isinstance(space, gym.spaces.Dict) else space
        if not isinstance(image, gym.spaces.Box) or image.dtype != np.uint8 or image.shape is None or len(image.shape) != 3:
            raise StoreError(
                f"RecordRollouts found no image among the observations {space}: expected uint8 (height, width, channels), named {FRAME} in a Dict."
            )
        origin = origin or origin_of(env, policy, policy_params)
        # the real engine shows no observation after the end: its wrapper repeats the one before
        self._last = origin.engine != "deepmind_lab"
        self._buffer = EpisodeBuffer(native=not isinstance(env.action_space, gym.spaces.Discrete))
        self._open = False
        self.writer = RolloutWriter(root, level, split, origin, with_actions=with_actions, **layout)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, and its recording."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._buffer.clear(int(info.get("episode_seed", -1 if seed is None else seed)))
        self._buffer.observe(*self._parts(observation))
        self._open = True
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play a step; at the end of an episode it is stored before this returns."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._open:
            self._buffer.act(action, float(reward))
            self._buffer.observe(*self._parts(observation), restart=bool(info.get("map_reset", False)))
            if terminated or truncated:
                self._open = False
                key = max(self.writer.keys, default=-1) + 1
                self.writer.append_episode(self._buffer.finish(bool(terminated), bool(truncated), key, self._last))
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Close the environment and give the store back."""
        self.writer.close()
        super().close()

    def _parts(self, observation: Any) -> tuple[np.ndarray, str]:
        return (observation[FRAME], str(observation.get(WORDS, ""))) if self._dict else (observation, "")
