"""Playing numbered episodes with any policy, on the native batch or on one environment at a time.

Legend: `N` environments of the batch.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv

FRAME, WORDS = "RGB_INTERLEAVED", "INSTR"


class Policy(Protocol):
    """Whatever plays: Stable-Baselines3's protocol.

    A policy that also has `begin_episodes(which, seeds)` is told the episode seeds of the environments `which` that
    begin one, and can draw its noise from them, so that an episode is the same wherever it is played.
    """

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Actions for a batch of observations, and the next state."""


class Tape:
    """Records one episode.

    Args:
        key, seed: Number and seed of the episode.
        length: Expected number of actions.
        native: Whether actions are the seven native ones.
    """

    def __init__(self, key: int, seed: int, length: int, native: bool) -> None:
        self.key, self.seed = key, seed
        self.steps = 0
        self._rows = length + 1
        self._native = native
        self._frames = np.empty((0,), np.uint8)
        self._actions = np.empty((length, 7) if native else (length,), np.int16)
        self._rewards = np.empty(length, np.float32)
        self._restarts: list[int] = []
        self._texts: list[str] = []

    def observe(self, frame: np.ndarray, text: str = "", restart: bool = False) -> None:
        """The observation before the next action; `restart`: the map restarted before it."""
        if not len(self._frames):
            self._frames = np.empty((self._rows, *frame.shape), np.uint8)
        elif self.steps == len(self._frames):
            self._frames = np.concatenate([self._frames, np.empty_like(self._frames)])
        self._frames[self.steps] = frame
        self._texts.append(text)
        if restart:
            self._restarts.append(self.steps)

    def act(self, action: Any, reward: float) -> None:
        """The action taken from the last observation, and what it brought."""
        if self.steps == len(self._rewards):
            self._actions = np.concatenate([self._actions, np.empty_like(self._actions)])
            self._rewards = np.concatenate([self._rewards, np.empty_like(self._rewards)])
        self._actions[self.steps] = action
        self._rewards[self.steps] = reward
        self.steps += 1

    def finish(self, terminated: bool, truncated: bool, last: bool = True) -> Episode:
        """The episode. `last`: whether the observation after the last action is a true one."""
        rows = self.steps + 1 if last else self.steps
        restart = np.zeros(rows, np.bool_)
        restart[[row for row in self._restarts if row < rows]] = True
        actions = self._actions[: self.steps]
        return Episode(
            frames=self._frames[:rows],
            action=None if self._native else actions,
            action_native=actions if self._native else None,
            reward=self._rewards[: self.steps],
            terminated=terminated,
            truncated=truncated,
            restart=restart,
            instruction=self._texts[:rows] if any(self._texts) else "",
            seed=self.seed,
            key=self.key,
        )


class Tally:
    """Adds up an episode's reward and forgets the rest: a `Tape` for scores."""

    def __init__(self, key: int, seed: int, *_: Any) -> None:
        self.key, self.seed = key, seed
        self.steps, self.total = 0, 0.0

    def observe(self, frame: Any, text: str = "", restart: bool = False) -> None:
        """Nothing is kept."""

    def act(self, action: Any, reward: float) -> None:
        """Add a reward."""
        self.steps += 1
        self.total += reward

    def finish(self, terminated: bool, truncated: bool, last: bool = True) -> "Tally":
        """The sum is in `total`."""
        return self


def play_batch(
    env: DMLabVectorEnv,
    policy: Policy,
    begin: Callable[[], tuple[int, int] | None],
    length: int,
    make_tape: Callable[[int, int, int, bool], Any] = Tape,
    deterministic: bool = False,
    on_steps: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Play episodes on the native batch until `begin` gives none and those begun have ended.

    Args:
        env: A batch with autoreset DISABLED.
        policy: Who plays.
        begin: Number and seed of the next episode, or None while there is none; asked again after every end.
        length: Expected steps of an episode.
        make_tape: What records it.
        deterministic: Passed to `predict`.
        on_steps: Told the number of environments that played, every step.

    Yields:
        (number, what the tape's `finish` gives), as episodes end.
    """
    n = env.num_envs
    tapes: list[Any] = [None] * n
    native = not env.action_set.is_discrete
    state, start = None, np.ones(n, np.bool_)
    observation: Any = None
    free = np.ones(n, np.bool_)  # where the last episode has ended, or none was begun
    while True:
        seeds = np.zeros(n, np.int64)
        for i in np.flatnonzero(free).tolist():
            given = begin()
            tapes[i] = None
            if given is not None:
                tapes[i] = make_tape(*given, length, native)
                seeds[i] = given[1]
        if not any(tapes):
            return
        if free.any():
            # an environment without an episode plays on, unrecorded: a batch steps as a whole
            observation, _ = env.reset(options={"reset_mask": free, "episode_seeds": seeds.tolist()})
            start = free
            if hasattr(policy, "begin_episodes"):
                policy.begin_episodes(np.flatnonzero(free), seeds[free])
            _observe(tapes, free, observation, np.zeros(n, np.bool_))
        actions, state = policy.predict(observation, state, start, deterministic)
        actions = np.asarray(actions)
        observation, rewards, terminated, truncated, infos = env.step(actions)
        start = np.zeros(n, np.bool_)
        free = terminated | truncated
        played = rewards.tolist()
        for i, tape in enumerate(tapes):
            if tape is not None:
                tape.act(actions[i], played[i])
        _observe(tapes, np.ones(n, np.bool_), observation, infos["map_reset"])
        if on_steps is not None:
            on_steps(sum(tape is not None for tape in tapes))
        for i in np.flatnonzero(free).tolist():
            if tapes[i] is not None:
                yield tapes[i].key, tapes[i].finish(bool(terminated[i]), bool(truncated[i]))


def _observe(tapes: Sequence[Any], which: np.ndarray, observation: Any, restarts: np.ndarray) -> None:
    frames, texts = (observation[FRAME], observation[WORDS]) if isinstance(observation, dict) else (observation, None)
    for i in np.flatnonzero(which).tolist():
        if tapes[i] is not None:
            tapes[i].observe(frames[i], "" if texts is None else texts[i], bool(restarts[i]))


def play_single(
    env: gym.Env[Any, Any],
    policy: Policy,
    episodes: Sequence[tuple[int, int]],
    length: int,
    make_tape: Callable[[int, int, int, bool], Any] = Tape,
    deterministic: bool = False,
) -> Iterator[tuple[int, Any]]:
    """Play numbered and seeded episodes one after the other on one environment of either engine; yields as `play_batch`
    does.
    """
    base: Any = env.unwrapped
    native = not base.action_set.is_discrete
    last = base.engine == "litelab"  # the real engine has no observation after the end
    for key, seed in episodes:
        tape = make_tape(key, seed, length, native)
        observation, _ = env.reset(options={"episode_seed": seed})
        if hasattr(policy, "begin_episodes"):
            policy.begin_episodes(np.zeros(1, np.int64), np.array([seed]))
        tape.observe(*_parts(observation))
        state, start, over = None, np.ones(1, np.bool_), False
        while not over:
            action, state = policy.predict(observation, state, start, deterministic)
            start = np.zeros(1, np.bool_)
            action = np.asarray(action).reshape((7,) if native else ())
            observation, reward, terminated, truncated, info = env.step(action)
            tape.act(action, float(reward))
            over = terminated or truncated
            tape.observe(*_parts(observation), restart=bool(info["map_reset"]))
        yield key, tape.finish(terminated, truncated, last)


def _parts(observation: Any) -> tuple[np.ndarray, str]:
    return (observation[FRAME], str(observation[WORDS])) if isinstance(observation, dict) else (observation, "")
