"""What a collection plays: the settings that every process shares, the seed of every episode, and the episodes that a
number of steps needs.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flexlam_rl.agents.environments import engine_version
from flexlam_rl.agents.recorders import Further
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.permutation import Permutation
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.envs.seeds import SEED_LIMIT
from flexlam_rl.envs.spec import EnvSpec

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Settings:
    """Who plays tasks, and how the tasks are shown and controlled.

    Attributes:
        expert: Name of the expert, as `agents.experts.registry.make_expert` takes it, such as "scripted" or
            "pixel:PATH".
        temperature: Temperature of the expert.
        seed: Seed from which the seeds of all episodes are derived.
        spec: Record of the environments.
        perturb: Expected share of random steps, in bursts after which the expert carries on; 0 for none.
        further: Columns that are recorded besides frames, actions and rewards.
        last: Whether the observation after an episode's last action is recorded.
    """

    expert: str = "scripted"
    temperature: float = 1.0
    seed: int = 0
    spec: EnvSpec = field(default_factory=EnvSpec)
    perturb: float = 0.0
    further: tuple[Further, ...] = ()
    last: bool = True

    def origin(self, task: str) -> Origin:
        """Describe, for a store, where the data of a task comes from."""
        spec, more = self.spec, dict[str, Any]()
        if spec.domain == "dmlab":
            from flexlam_rl.envs.registration import level_id

            known = action_set(spec.action_set)
            more = {"env_id": level_id(task), "action_set": known.name, "action_hash": known.hash}
            more["action_table"] = tuple(tuple(map(int, row)) for row in known.rows)
            if spec.engine == "deepmind_lab":
                more["textures"] = "original"
        else:
            more = {"env_id": f"{spec.domain}/{task}", "actions": find_domain(spec.domain).actions(spec)}
        return Origin.of(
            spec,
            **more,
            engine_version=engine_version(spec),
            policy=self.expert,
            policy_params={"temperature": self.temperature, **({"perturb": self.perturb} if self.perturb else {})},
            seed=self.seed,
        )


def episode_seeds(seed: int, level: str, split: str, keys: Iterable[int]) -> np.ndarray:
    """Return the seeds of the episodes `keys` of a level and split, int64 in [0, 2**31).

    Training seeds are even and test seeds odd for every root seed, so that no training set shares a maze with a test
    set. Within a level and split, no two episodes have the same seed.

    Args:
        seed: Root seed.
        level: Name of the level.
        split: "train" or "test".
        keys: Numbers of the episodes.

    Raises:
        ValueError: There is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}, got {split!r}.")
    shuffle = Permutation(SEED_LIMIT // 2, seed, zlib.crc32(level.encode()))
    return 2 * shuffle(np.fromiter(keys, np.int64)) + SPLITS.index(split)


class Schedule:
    """Chooses the episodes of a collection: 0 to K-1, with the smallest K whose episodes have `steps` steps in all.

    The length of an episode is known only when it has ended, so some episodes may be begun in vain; these are dropped.
    Episodes are handed out for storing in the order of their numbers, so that an interrupted and continued collection
    equals one that was never interrupted, row by row.

    Args:
        steps: Number of steps to collect, including those already stored.
        full_length: Length of an episode that runs until the time is up.
        terminates: Whether episodes can end earlier.
        episodes: Number of episodes that are already stored.
        stored: Number of steps of these.
    """

    def __init__(self, steps: int, full_length: int, terminates: bool, episodes: int = 0, stored: int = 0) -> None:
        self.steps = steps
        self.full_length = full_length
        self.terminates = terminates
        self.stored = stored
        self._next_store = self._next_begin = episodes
        self._lengths: dict[int, int] = {}
        self._waiting: dict[int, Episode] = {}
        self._seen = (0, 0)  # number of episodes that ended, and of their steps

    @property
    def complete(self) -> bool:
        """Whether everything needed has been handed out for storing."""
        return self.stored >= self.steps

    @property
    def remaining(self) -> int:
        """Estimated number of episodes that are still to be handed out."""
        return max(0, -(-(self.steps - self.stored) // self._guess()))

    def _guess(self) -> int:
        count, total = self._seen
        return max(1, total // count) if self.terminates and count else self.full_length

    def begin(self) -> int | None:
        """Return the number of the next episode to begin, or None while those begun will probably suffice."""
        begun = self._next_begin - self._next_store
        known = sum(self._lengths.values())
        if self.stored + known + (begun - len(self._lengths)) * self._guess() >= self.steps:
            return None
        self._next_begin += 1
        return self._next_begin - 1

    def finish(self, key: int, episode: Episode) -> list[Episode]:
        """Take in an episode that has ended, and return those that can be stored now, in order."""
        self._lengths[key] = episode.length
        self._waiting[key] = episode
        self._seen = (self._seen[0] + 1, self._seen[1] + episode.length)
        ready = []
        while not self.complete and self._next_store in self._waiting:
            ready.append(self._waiting.pop(self._next_store))
            self.stored += self._lengths.pop(self._next_store)
            self._next_store += 1
        return ready
