"""The one loop that plays episodes. Collection, the suite, latency benchmarks, studies and measurements of experts all
use it, so that a policy acts in the same way everywhere.

Legend: `N` environments of the batch.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from flexlam_rl.agents.recorders import Recorder, Tally, Tape
from flexlam_rl.agents.watchers import Watcher
from flexlam_rl.envs.base import base_env
from flexlam_rl.envs.domain import shows_last
from flexlam_rl.envs.episodes import map_resets
from flexlam_rl.envs.observations import FRAME, WORDS, frames_of, words_of

__all__ = ["FRAME", "WORDS", "Policy", "Start", "Tally", "Tape", "Watcher", "in_order", "play_episodes"]


class Policy(Protocol):
    """A policy with Stable-Baselines3's protocol.

    The loop also calls these methods, if a policy has them:

    - `begin_episodes(which, seeds)`: the environments `which` (indices) begin episodes of these seeds. A policy that
      derives its random numbers from the seeds plays an episode in the same way everywhere.
    - `map_restarted(which)`: the next frames do not follow from the last ones (`info["map_reset"]`).
    - `end_episodes(which)`: these episodes have ended; their actions are not wanted until new ones begin.

    `snapshot(state)` and `restore(snapshot)` are needed to save and resume play (`agents.resuming`). The first returns
    everything that later actions depend on, with `state` as `predict` returned it: a dictionary, possibly nested, of
    NumPy arrays, torch tensors and JSON values, which may share memory with the policy. The second is called on a
    policy made anew in the same way; it takes the snapshot over and returns `state`.

    An attribute `chose` (N,) bool says which of the last actions the policy chose itself; without it, it chose all.
    """

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Choose actions for a batch of observations; return them and the next state."""


@dataclass(frozen=True)
class Start:
    """An episode to play.

    Attributes:
        key: Identifies the episode, and is returned with its result.
        seed: Seed of the world.
        policy_seed: Seed that the policy gets; None for the same one.
    """

    key: Any
    seed: int
    policy_seed: int | None = None


Begin = Callable[[int], Start | None]
"""Function that returns the next episode of an environment, by its index in the batch; None while there is none."""


def in_order(starts: Iterable[Start]) -> Begin:
    """Make a function that hands out episodes one after the other, to whichever environment asks."""
    queue = iter(starts)
    return lambda _: next(queue, None)


def play_episodes(
    env: Any,
    policy: Policy,
    begin: Begin,
    record: Callable[[Any, int, gym.Space[Any]], Recorder] = Tape,
    deterministic: bool | None = False,
    watchers: Sequence[Watcher] = (),
) -> Iterator[tuple[Any, Any]]:
    """Play episodes until `begin` returns none and those begun have ended.

    Args:
        env: A batch with autoreset disabled that resets by mask, as a `Domain` makes it, or a single environment.
        policy: The policy that plays; a latent action policy may have one budget per environment.
        begin: Called for every free environment, and again after every end of an episode.
        record: Makes the recorder of an episode from its key, its seed and the space of one action.
        deterministic: Passed to `predict`.
        watchers: Watchers that are told what happens.

    Yields:
        The key of each episode that ended, and what its recorder's `finish` returned.
    """
    batch: Any = env if hasattr(base_env(env), "num_envs") else _BatchOfOne(env)
    n, last, space = batch.num_envs, shows_last(env), batch.single_action_space
    starts: list[Start | None] = [None] * n
    recorders: list[Any] = [None] * n
    shown: dict[int, list[Watcher]] = {}
    playing, free = np.zeros(n, np.bool_), np.ones(n, np.bool_)
    steps, totals = np.zeros(n, np.int64), np.zeros(n)
    state, observation = None, None
    while True:
        if free.any():
            for i in np.flatnonzero(free).tolist():
                start = starts[i] = begin(i)
                playing[i] = start is not None
                recorders[i] = None if start is None else record(start.key, start.seed, space)
                shown[i] = [] if start is None else [one for one in watchers if one.wants(start.key)]
            if not playing.any():
                return
            # an environment without an episode plays on unrecorded, because a batch steps as a whole
            seeds = [0 if start is None else start.seed for start in starts]
            began = time.perf_counter()
            observation, _ = batch.reset(options={"reset_mask": free.copy(), "episode_seeds": seeds})
            _spent(watchers, "environments", began)
            _tell_beginnings(policy, starts, free & playing)
            steps[free], totals[free] = 0, 0.0
            _observe(batch, recorders, free & playing, observation, np.zeros(n, np.bool_))
        for i, viewers in shown.items():
            for viewer in viewers if playing[i] else ():
                frame = np.asarray(_parts(batch, observation, i)[0])
                viewer.frames(starts[i].key, frame, int(steps[i]), float(totals[i]))  # type: ignore[union-attr]
        began = time.perf_counter()
        actions, state = policy.predict(observation, state, free, bool(deterministic))
        _spent(watchers, "policy", began, policy)
        actions = np.asarray(actions).reshape(n, *(space.shape or ()))
        chose = getattr(policy, "chose", None)
        began = time.perf_counter()
        observation, rewards, terminated, truncated, infos = batch.step(actions)
        _spent(watchers, "environments", began)
        free = terminated | truncated
        restarted = map_resets(infos, n)
        steps += 1
        totals[playing] += rewards[playing]
        given = rewards.tolist()
        for i in np.flatnonzero(playing).tolist():
            recorders[i].act(actions[i], given[i], chose is None or bool(chose[i]))
        _observe(batch, recorders, playing, observation, restarted)
        for watcher in watchers:
            watcher.stepped(int(playing.sum()))
        ended = free & playing
        playing &= ~free
        _tell(policy, "end_episodes", ended)
        _tell(policy, "map_restarted", restarted & playing)
        for i in np.flatnonzero(ended).tolist():
            start = starts[i]
            assert start is not None
            starts[i] = None
            yield start.key, recorders[i].finish(bool(terminated[i]), bool(truncated[i]), last)


class _BatchOfOne:
    """A single environment with the interface of a batch; observations stay single, as its policy expects."""

    num_envs = 1

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self._env, self.single_action_space = env, env.action_space

    def reset(self, *, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return self._env.reset(options={"episode_seed": options["episode_seeds"][0]})

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._env.step(actions[0])
        ends = np.array([terminated], np.bool_), np.array([truncated], np.bool_)
        return observation, np.array([float(reward)]), *ends, {"map_reset": [bool(info.get("map_reset", False))]}


def _parts(batch: Any, observation: Any, i: int) -> tuple[np.ndarray, str]:
    """Return the frame and the instruction of environment `i`."""
    frames, texts = frames_of(observation), words_of(observation)
    if isinstance(batch, _BatchOfOne):
        return frames, "" if texts is None else str(texts)
    return frames[i], "" if texts is None else str(texts[i])


def _observe(batch: Any, recorders: Sequence[Any], which: np.ndarray, observation: Any, restarts: np.ndarray) -> None:
    for i in np.flatnonzero(which).tolist():
        recorders[i].observe(*_parts(batch, observation, i), bool(restarts[i]))
        if getattr(recorders[i], "further", ()):
            alone = isinstance(batch, _BatchOfOne)
            recorders[i].keep(observation if alone else {name: values[i] for name, values in observation.items()})


def _tell_beginnings(policy: Any, starts: Sequence[Start | None], which: np.ndarray) -> None:
    if not which.any() or not hasattr(policy, "begin_episodes"):
        return
    chosen = [start for start, begins in zip(starts, which, strict=True) if begins and start is not None]
    seeds = [start.seed if start.policy_seed is None else start.policy_seed for start in chosen]
    policy.begin_episodes(np.flatnonzero(which), np.array(seeds))


def _tell(policy: Any, name: str, which: np.ndarray) -> None:
    if which.any() and hasattr(policy, name):
        getattr(policy, name)(np.flatnonzero(which))


def _spent(watchers: Sequence[Watcher], part: str, began: float, policy: Any = None) -> None:
    if not watchers:
        return
    seconds = time.perf_counter() - began
    parts = getattr(getattr(policy, "last", None), "seconds", {})
    for watcher in watchers:
        watcher.spent(part, seconds)
        for name, value in parts.items():
            watcher.spent(name, value)
