"""The one loop: what a policy is told, what is recorded and watched, alone and in a batch, in any world."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from flexlam_rl.agents.recorders import Tally, Tape
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.agents.watchers import TimeShares, Watcher
from flexlam_rl.envs.episodes import make_batch


class Counting(gym.Env[Any, Any]):
    """Shows the step in every pixel, and rewards the number of the action; the map restarts before the frame of step 2.

    Episodes last 3 steps with an even seed, else 5.
    """

    observation_space = gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)
    action_space = gym.spaces.Discrete(10)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        assert options is not None
        self.at, self.length = 0, 5 if options["episode_seed"] % 2 else 3
        return self._frame(), {"map_reset": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        over = self.at == self.length
        return self._frame(), float(action), over, False, {"map_reset": self.at == 2}

    def _frame(self) -> np.ndarray:
        return np.full((4, 4, 3), self.at, np.uint8)


class Logging:
    """Counts the steps of each episode as its actions, and keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def begin_episodes(self, which: Any, seeds: Any) -> None:
        self.told.append(("begin", which.tolist(), seeds.tolist()))

    def map_restarted(self, which: Any) -> None:
        self.told.append(("restart", which.tolist()))

    def end_episodes(self, which: Any) -> None:
        self.told.append(("end", which.tolist()))

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False):
        steps = np.where(episode_start, 0, 0 if state is None else state + 1)
        return (steps[0] if np.ndim(observation) == 3 else steps), steps


def batch(count: int) -> Any:
    return make_batch([Counting] * count)


STARTS = [Start("even", 0), Start("odd", 1), Start("last", 2, 77)]


def test_a_policy_is_told_of_beginnings_restarts_and_ends():
    policy = Logging()
    done = [key for key, _ in play_episodes(batch(2), policy, in_order(STARTS), Tally)]
    assert done == ["even", "odd", "last"]
    assert policy.told == [
        ("begin", [0, 1], [0, 1]),
        ("restart", [0, 1]),
        ("end", [0]),
        ("begin", [0], [77]),  # a seed of its own for the policy
        ("end", [1]),  # this environment plays on without an episode, of which nobody is told
        ("restart", [0]),
        ("end", [0]),
    ]


@pytest.mark.parametrize("make", [Counting, partial(batch, 1), partial(batch, 2), partial(batch, 3)])
def test_the_same_episodes_alone_and_in_batches(make: Callable[[], Any]):
    tapes = dict(play_episodes(make(), Logging(), in_order(STARTS), partial(Tape, length=1)))
    assert set(tapes) == {"even", "odd", "last"}
    for key, length in (("even", 3), ("odd", 5), ("last", 3)):
        tape = tapes[key]
        assert tape.frames[:, 0, 0, 0].tolist() == list(range(length + 1))
        assert tape.action is not None and tape.action.tolist() == list(range(length))
        assert tape.reward is not None and tape.reward.tolist() == list(range(length))
        assert tape.restart is not None and np.flatnonzero(tape.restart).tolist() == [2]
        assert (tape.terminated, tape.truncated) == (True, False)
        assert tape.seed == next(start.seed for start in STARTS if start.key == key)


def test_watchers_see_frames_steps_and_time():
    class Watching(Watcher):
        def __init__(self) -> None:
            self.seen: list[tuple[Any, ...]] = []
            self.playing: list[int] = []

        def wants(self, key: Any) -> bool:
            return key == "odd"

        def frames(self, key: Any, frame: np.ndarray, step: int, total: float) -> None:
            self.seen.append((key, int(frame[0, 0, 0]), step, total))

        def stepped(self, playing: int) -> None:
            self.playing.append(playing)

    watching, shares = Watching(), TimeShares()
    list(play_episodes(batch(2), Logging(), in_order(STARTS[:2]), Tally, watchers=(watching, shares)))
    assert watching.seen == [("odd", 0, 0, 0.0), ("odd", 1, 1, 0.0), ("odd", 2, 2, 1.0), ("odd", 3, 3, 3.0), (
        "odd", 4, 4, 6.0,
    )]  # fmt: skip
    assert watching.playing == [2, 2, 2, 1, 1]
    assert set(shares.seconds) == {"environments", "policy"} and min(shares.seconds.values()) > 0


def test_actions_that_a_store_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"The action space Tuple.* is not supported: expected Discrete"):
        Tape(0, 0, gym.spaces.Tuple([gym.spaces.Discrete(2)]))


def test_nothing_to_play_is_nothing_played():
    assert list(play_episodes(batch(2), Logging(), in_order([]), Tally)) == []
