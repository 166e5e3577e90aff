"""Playing numbered episodes of several levels and budgets, many at once.

Episodes of about one length and budget play side by side in a wave, a batch that begins and ends together. Each has its
own seed for the world and for the policy, so results depend neither on the waves nor on how many environments there
are.
"""

import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.envs.domains.dmlab.levels import level_named


@dataclass(frozen=True, order=True)
class Job:
    """One episode to play: its level, the budget (0 for policies without one), its number and its seed."""

    level: str
    budget: int
    number: int
    seed: int


@dataclass(frozen=True)
class Played:
    """A finished episode: the job, its return, its length in agent steps, the policy's mean milliseconds a step, and
    for how many at once.
    """

    job: Job
    total: float
    steps: int
    milliseconds: float
    batch: int


@dataclass(frozen=True)
class Scene:
    """How levels are shown and controlled; the attributes are options of `DMLabEnv`, `engine` never "auto"."""

    engine: str = "litelab"
    textures: str = "procedural"
    hud: str = "full"
    action_set: str = "dreamer15"
    frame_skip: int = 4
    width: int = 64
    height: int = 64

    def options(self) -> dict[str, Any]:
        """As keyword arguments of `gym.make`; the real engine has one look, and says so when asked for another."""
        given = {"engine": self.engine, "hud": self.hud, "action_set": self.action_set, "frame_skip": self.frame_skip}
        look = {"textures": self.textures} if self.engine == "litelab" else {}
        return {**given, **look, "width": self.width, "height": self.height}

    def steps(self, level: str) -> int:
        """Agent steps of an episode that runs until the time is up."""
        return -(-level_named(level).frames // self.frame_skip)


def episode_seed(seed: int, level: str, number: int) -> int:
    """The seed in [0, 2**31) of episode `number` of a level."""
    return int(np.random.SeedSequence((seed, zlib.crc32(level.encode()), number)).generate_state(1)[0] >> 1)


def plan(levels: Sequence[str], budgets: Sequence[int], episodes: int, seed: int) -> list[Job]:
    """All episodes of a run."""
    return [
        Job(level, k, i, episode_seed(seed, level, i)) for k in budgets for level in levels for i in range(episodes)
    ]


def waves(jobs: Iterable[Job], scene: Scene, size: int) -> Iterator[list[Job]]:
    """Batches of at most `size` episodes; neighbours have about the same budget and length, so that few wait for others
    to end.
    """
    ordered = sorted(jobs, key=lambda job: (-job.budget, -scene.steps(job.level), job.level, job.number))
    for first in range(0, len(ordered), size):
        yield ordered[first : first + size]


class Watcher:
    """What a wave tells while it plays; this one listens to nothing."""

    def frames(self, job: Job, frame: np.ndarray, step: int, total: float) -> None:
        """A frame that the policy saw, (H, W, C) uint8, the step and the return so far."""

    def wants(self, job: Job) -> bool:
        """Whether to be told the frames of an episode."""
        return False

    def stepped(self, playing: int) -> None:
        """So many environments have made a step."""


def play_wave(
    jobs: Sequence[Job], scene: Scene, player: Player, watcher: Watcher, shares: dict[str, float]
) -> Iterator[Played]:
    """Play a batch of episodes to their ends; yields each as it ends.

    Args:
        jobs: The episodes.
        scene: How levels are shown.
        player: Who plays.
        watcher: Told about steps and frames.
        shares: Wall-clock seconds of "environments", of "policy" and of the policy's parts are added to it.
    """
    import gymnasium as gym

    import flexlam_rl  # noqa: F401 - registers the environments

    count = len(jobs)
    seeds = np.array([job.seed for job in jobs])
    env = gym.make_vec(
        "FlexLAM-DMLab-v0",
        num_envs=count,
        level=[job.level for job in jobs],
        evaluation=True,
        **_sight(jobs, player),
        **scene.options(),
    )
    try:
        policy: Any = player.make(env, np.array([job.budget for job in jobs]) if player.learned else None)
        began = time.perf_counter()
        observation, _ = env.reset(seed=seeds.tolist())  # type: ignore[arg-type,unused-ignore]  # one seed an environment
        _add(shares, "environments", began)
        if hasattr(policy, "begin_episodes"):
            policy.begin_episodes(np.arange(count), seeds)
        state, start, playing = None, np.ones(count, np.bool_), np.ones(count, np.bool_)
        totals, spent, step = np.zeros(count), 0.0, 0
        watched = [i for i in range(count) if watcher.wants(jobs[i])]
        while playing.any():
            for i in watched:
                if playing[i]:
                    watcher.frames(jobs[i], np.asarray(_frames(observation)[i]), step, float(totals[i]))
            began = time.perf_counter()
            actions, state = policy.predict(observation, state, start, bool(player.deterministic))
            spent += _add(shares, "policy", began)
            for part, seconds in getattr(getattr(policy, "last", None), "seconds", {}).items():
                shares[part] = shares.get(part, 0.0) + seconds
            began = time.perf_counter()
            observation, rewards, terminated, truncated, infos = env.step(actions)
            _add(shares, "environments", began)
            step += 1
            start = terminated | truncated
            totals[playing] += rewards[playing]
            watcher.stepped(int(playing.sum()))
            ended = np.flatnonzero(start & playing)
            playing[ended] = False
            if len(ended) and hasattr(policy, "end_episodes"):
                policy.end_episodes(ended)
            if infos["map_reset"].any() and hasattr(policy, "map_restarted"):
                policy.map_restarted(np.flatnonzero(infos["map_reset"]))
            for i in ended.tolist():
                yield Played(jobs[i], float(totals[i]), step, 1000.0 * spent / step, count)
    finally:
        env.close()


def _sight(jobs: Sequence[Job], player: Player) -> dict[str, Any]:
    """Which observations the policy needs: none that is drawn for a blind one, the instruction for others than FlexLAM
    where there is one.
    """
    if player.blind:
        return {"observations": ("DEBUG.POS.TRANS",)}
    words = ("INSTR",) if not player.learned and any(job.level.startswith("language_") for job in jobs) else ()
    return {"observations": ("RGB_INTERLEAVED", *words)}


def _frames(observation: Any) -> Any:
    return observation["RGB_INTERLEAVED"] if isinstance(observation, dict) else observation


def _add(shares: dict[str, float], part: str, began: float) -> float:
    seconds = time.perf_counter() - began
    shares[part] = shares.get(part, 0.0) + seconds
    return seconds
