"""Recording: a buffer for one running episode, and a Gymnasium wrapper that stores all finished episodes."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import REWARD_ADVICE, Episode, check_pictures
from flexlam_rl.datasets.recordable import actions_of, columns_of, origin_of
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.envs.action_values import stored_actions, stored_type
from flexlam_rl.envs.domain import shows_last
from flexlam_rl.envs.observations import WORDS, frames_of, words_of
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.numbers import as_array, exact, flag, int64


class EpisodeBuffer:
    """Collects one episode, step by step.

    Args:
        native: Whether actions are DeepMind Lab's seven native ones instead of numbers in an action table.
        actions: Number of actions, 0 if unknown; or a description of actions that are not DeepMind Lab's.
        reward: Type of the store's rewards.
    """

    def __init__(self, native: bool = False, actions: int | ActionSpec = 0, reward: str = "float32") -> None:
        self._native, self._reward = native, reward
        self._spec = actions if isinstance(actions, ActionSpec) else None
        self._actions_known = 0 if isinstance(actions, ActionSpec) else actions
        self.clear()

    def clear(self, seed: int = -1) -> None:
        """Begin a new episode with a seed; -1 if it is unknown."""
        self.seed = int64(seed, "The seed of a recorded episode")
        self._frames = np.empty((0,), np.uint8)
        self._count = 0
        self._actions: list[Any] = []
        self._rewards: list[float] = []
        self._restarts: list[int] = []
        self._texts: list[str] = []
        self._extra: dict[str, list[np.ndarray]] = {}

    @property
    def length(self) -> int:
        """Number of actions so far."""
        return len(self._actions)

    def observe(
        self, frame: np.ndarray, text: str = "", restart: bool = False, extra: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Add the next observation.

        Args:
            frame: (H, W, C) uint8.
            text: Instruction shown with the frame.
            restart: Whether the map restarted just before this frame.
            extra: Values of extra columns.

        Raises:
            ValueError: The frame is not a picture or differs in shape from the first, or a value is of a wrong type.
        """
        frame = as_array(frame, "A recorded frame")
        if not isinstance(text, str):
            raise ValueError(f"A recorded instruction is {text!r}: expected a text.")
        if self._count == 0:
            check_pictures(frame[None])
        if frame.dtype != np.uint8 or (self._count and frame.shape != self._frames.shape[1:]):
            raise ValueError(
                f"A recorded frame is {frame.dtype} {frame.shape}: expected uint8 {self._frames.shape[1:]}, as for the "
                "first of its episode."
            )
        if self._count == len(self._frames):
            grown = np.empty((max(256, 2 * self._count), *frame.shape), np.uint8)
            grown[: self._count] = self._frames[: self._count] if self._count else grown[:0]
            self._frames = grown
        if flag(restart, "The mark of a map restart"):
            self._restarts.append(self._count)
        self._frames[self._count] = frame
        self._texts.append(text)
        for name, value in (extra or {}).items():
            self._extra.setdefault(name, []).append(value)
        self._count += 1

    def act(self, action: Any, reward: Any) -> None:
        """Add the action taken at the last observation, and its reward.

        Raises:
            ValueError: The store cannot hold the action or the reward.
        """
        self.keep(self.action(action), reward)

    def keep(self, stored: Any, reward: Any) -> None:
        """Add the action taken at the last observation, as converted by `action`, and its reward.

        Raises:
            ValueError: The store cannot hold the reward.
        """
        reward = as_array(reward, "A recorded reward")
        if reward.size != 1:
            raise ValueError(f"A recorded reward has shape {reward.shape}: expected one number.")
        number = exact(reward.reshape(()), self._reward, "A recorded reward", REWARD_ADVICE).item()
        if not math.isfinite(number):
            raise ValueError(f"A recorded reward is {number}: expected a finite number.")
        self._actions.append(stored)
        self._rewards.append(number)

    def action(self, action: Any) -> Any:
        """Convert an action to its stored form.

        Raises:
            ValueError: The shape is wrong, a number is not whole, or the action is not in the set or space.
        """
        array = as_array(action, "A recorded action")
        if self._spec is not None:
            return stored_actions(array[None], self._spec, "A recorded action")[0]
        if array.size != (7 if self._native else 1):
            raise ValueError(
                f"A recorded action has shape {array.shape}: expected {'(7,)' if self._native else 'one number'}."
            )
        stored = exact(array.reshape(-1), np.int16, "A recorded action")
        if self._native:
            return stored
        number = stored.item()
        if number < 0 or (self._actions_known and number >= self._actions_known):
            expected = f"0 to {self._actions_known - 1}" if self._actions_known else "0 or more"
            raise ValueError(f"A recorded action is {number}: expected {expected}.")
        return number

    def finish(self, terminated: bool, truncated: bool, key: int = -1, last: bool = True) -> Episode:
        """Make the episode; afterwards the buffer can be cleared and used again.

        Args:
            terminated, truncated: How the episode ended.
            key: Number of the episode in its collection; -1 for none.
            last: Whether to keep the observation after the last action; the real engine has none and repeats the one
                before.
        """
        rows = self._count if last else self.length
        restart = np.zeros(rows, bool)
        restart[[row for row in self._restarts if row < rows]] = True
        actions = np.array(self._actions, np.int16 if self._spec is None else stored_type(self._spec)[0])
        return Episode(
            frames=self._frames[:rows].copy(),
            action=None if self._native else actions,
            action_native=actions if self._native else None,
            reward=np.array(self._rewards, self._reward),
            terminated=terminated,
            truncated=truncated,
            restart=restart,
            instruction=self._texts[:rows] if any(self._texts) else "",
            seed=self.seed,
            key=key,
            extra={name: np.stack(values[:rows]) for name, values in self._extra.items()},
        )


class RecordRollouts(gym.Wrapper[Any, Any, Any, Any]):
    """Stores every finished episode that is played through it, exactly as it was played.

    An episode that is reset before its end is not stored. `close` releases the store. A recorder cannot be copied or
    used after a fork: make one in each process.

    Args:
        env: A single environment (not a vector) with image observations, bare or in a `Dict` whose other numbers become
            extra columns. Its actions are in a Gymnasium space of numbers.
        root: Folder of the collection.
        split: "train", "test", ...
        policy, policy_params: Name and parameters of the policy that plays; part of the store's origin.
        level: Name of the level; None for the environment's own.
        with_actions: False stores video without actions.
        origin: Origin of the store; None for the result of `origin_of`.
        **layout: Options of a new store: chunk, shard, codec, compression, reward. By default, rewards are float32 for
            environments of this package, whose rewards fit, and float64 for others.

    Raises:
        StoreLocked: Another writer is open on this store.
        StoreError: The environment has no image observation or no name for the level, or a store cannot hold its
            observations or actions.
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
        if not isinstance(env, gym.Env):
            raise StoreError(
                f"RecordRollouts was given {type(env).__name__}: expected one environment; for a vector, wrap each of "
                "its environments."
            )
        super().__init__(env)
        level = (
            level
            or getattr(env.unwrapped, "level", None)
            or (env.spec.id.replace("/", "_") if env.spec is not None else None)
        )
        if level is None:
            raise StoreError("RecordRollouts found no name for the level of this environment: give one as level.")
        extra = columns_of(env)
        space = env.observation_space
        self._dict = isinstance(space, gym.spaces.Dict)
        self._words = isinstance(space, gym.spaces.Dict) and isinstance(space.spaces.get(WORDS), gym.spaces.Text)
        origin = origin or origin_of(env, policy, policy_params)
        native, actions = actions_of(env.action_space, origin) if with_actions else (True, 0)
        # some engines have no observation after the end, and repeat the one before
        self._last = origin.engine != "deepmind_lab" and shows_last(env)
        self._with_actions = with_actions
        layout.setdefault("reward", "float32" if _has_dmlab_rewards(env) else "float64")
        self.writer = RolloutWriter(root, level, split, origin, with_actions=with_actions, extra=extra, **layout)
        self._extra = extra
        self._buffer = EpisodeBuffer(native, actions, self.writer.reward)
        self._open = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode and its recording."""
        self.writer.check_process()
        self._open = False
        observation, info = self.env.reset(seed=seed, options=options)
        known = info.get("episode_seed", seed)
        self._buffer.clear(-1 if known is None else known)
        self._buffer.observe(**self._parts(observation))
        self._open = True
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play a step. At the end of an episode, the episode is stored before this returns."""
        if self._open:
            self.writer.check_process()
        # converted before the environment gets the array and may change it
        stored = self._buffer.action(action) if self._open and self._with_actions else np.zeros(7, np.int16)
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._open:
            self._buffer.keep(stored, reward if self._with_actions else 0.0)
            self._buffer.observe(**self._parts(observation), restart=info.get("map_reset", False))
            if flag(terminated, "`terminated` of a step") or flag(truncated, "`truncated` of a step"):
                self._open = False
                key = max(self.writer.keys, default=-1) + 1
                self.writer.append_episode(self._buffer.finish(bool(terminated), bool(truncated), key, self._last))
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Close the environment and release the store."""
        self.writer.close()
        super().close()

    def _parts(self, observation: Any) -> dict[str, Any]:
        if not self._dict:
            return {"frame": observation}
        return {
            "frame": frames_of(observation),
            "text": words_of(observation) if self._words else "",
            "extra": {name: self._numbers(name, observation[name]) for name in self._extra},
        }

    def _numbers(self, name: str, value: Any) -> np.ndarray:
        dtype, shape = self._extra[name]
        numbers = exact(value, dtype, f"Observation {name}")
        if numbers.shape != shape:
            raise ValueError(f"Observation {name} has shape {numbers.shape}: expected {shape}.")
        return numbers


def _has_dmlab_rewards(env: gym.Env[Any, Any]) -> bool:
    """Whether rewards come from this package's environments, whose rewards float32 holds, and no other wrapper may
    change them.
    """
    while isinstance(env, gym.Wrapper):
        if not type(env).__module__.startswith(("flexlam_rl.", "gymnasium.wrappers.common")):
            return False
        env = env.env
    return type(env).__module__.startswith("flexlam_rl.")
