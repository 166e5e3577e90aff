"""DeepMind Lab as a domain, and a domain that another file adds."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stand_in
from gymnasium import spaces

from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.envs.domain import DOMAINS, Reference, Task, find_domain
from flexlam_rl.envs.domains.dmlab import real_engine
from flexlam_rl.envs.episodes import SeededEpisodes, make_batch, map_resets
from flexlam_rl.envs.spec import ActionSpec, EnvSpec

LEVEL = "rooms_watermaze"
DMLAB = find_domain("dmlab")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setattr(real_engine, "_owner", None)
    monkeypatch.setenv("FLEXLAM_CACHE_DIR", str(tmp_path / "cache"))
    return stand_in.install(monkeypatch, tmp_path)


def test_tasks() -> None:
    assert len(DMLAB.tasks()) == 17 and sum(task.scored for task in DMLAB.tasks()) == 11
    task = DMLAB.task(f"contributed/dmlab30/{LEVEL}")
    assert task == Task(LEVEL, scored=True, frames=7200, terminates=False)
    assert task.steps(4) == 1800 and task.steps(7) == 1029
    assert [task.name for task in DMLAB.tasks() if task.words] == ["language_execute_random_task"]
    with pytest.raises(ValueError, match="Unknown level 'doom'"):
        DMLAB.task("doom")


def test_a_record_is_completed_and_checked() -> None:
    spec = DMLAB.resolve(EnvSpec(engine="litelab", look=()))
    assert spec == replace(EnvSpec(engine="litelab"), action_hash=DMLAB.actions(spec).hash)
    assert DMLAB.resolve(spec) == spec == DMLAB.resolve(DMLAB.defaults())
    assert DMLAB.actions(spec) == ActionSpec((15,), 0, "dreamer15", spec.action_hash)
    assert DMLAB.actions(replace(spec, action_set="native7")).discrete == (1025, 1025, 3, 3, 2, 2, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"domain": "doom"}, "domain 'doom': expected 'dmlab'"),
        ({"engine": "quake"}, "engine must be one of"),
        ({"action_set": "keys"}, "Unknown action set 'keys'"),
        ({"action_hash": "abc"}, "the hash abc: expected"),
        ({"frame_skip": 0}, "frame_skip must be"),
        ({"width": 63}, "width must be a positive multiple of 4, got 63"),
        ({"look": {"hud": "big"}}, "hud must be one of"),
        ({"look": {"textures": "original"}}, "'original' exists on deepmind_lab only"),
        ({"look": {"fog": "thick"}}, "no look 'fog'"),
    ],
)
def test_refusals(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DMLAB.resolve(replace(EnvSpec(engine="litelab"), **change))


def test_the_real_engine_has_one_look(module: ModuleType) -> None:
    spec = DMLAB.defaults()
    assert (spec.engine, spec.textures) == ("deepmind_lab", "original")
    assert DMLAB.resolve(spec) == spec and not DMLAB.shows_last(spec)
    with pytest.raises(ValueError, match="'labmaze' exists on litelab only"):
        DMLAB.resolve(spec.with_look(textures="labmaze"))


def test_environments_show_and_control_what_the_record_says() -> None:
    spec = replace(EnvSpec(engine="litelab"), action_set="impala9", frame_skip=8, width=32, height=48)
    spec = DMLAB.resolve(spec.with_look(hud="none"))
    env = DMLAB.make(LEVEL, spec, evaluation=True)
    batch = DMLAB.make_vec([LEVEL, "psychlab_visual_search"], spec, evaluation=True, threads=1)
    assert env_spec_of(env) == spec == env_spec_of(batch)
    assert env.observation_space == batch.single_observation_space == spaces.Box(0, 255, (48, 32, 3), np.uint8)
    frame, info = env.reset(seed=3)
    frames, _ = batch.reset(seed=3)
    assert np.array_equal(frame, frames[0]) and info["level"] == LEVEL
    assert DMLAB.make(LEVEL, spec, frames=False).observation_space.shape == (3,)
    assert set(DMLAB.make(LEVEL, spec, words=True).observation_space) == {"RGB_INTERLEAVED", "INSTR"}
    with pytest.raises(ValueError, match="frame_skip is a field of the record"):
        DMLAB.make(LEVEL, spec, frame_skip=2)


def begin_and_check(batch: Any, make: Any) -> None:
    """Whether a batch plays the episodes that it is told to, and only where it is told to."""
    assert batch.metadata["autoreset_mode"] is gym.vector.AutoresetMode.DISABLED
    observations, infos = batch.reset(options={"episode_seeds": [5, 6]})
    assert infos["episode_seed"].tolist() == [5, 6]
    single = make()
    np.testing.assert_array_equal(single.reset(options={"episode_seed": 6})[0], observations[1])
    actions = np.zeros(2, int)
    before = batch.step(actions)[0].copy()
    np.testing.assert_array_equal(single.step(0)[0], before[1])
    observations, infos = batch.reset(options={"reset_mask": np.array([True, False]), "episode_seeds": [6, None]})
    np.testing.assert_array_equal(observations[1], before[1])
    np.testing.assert_array_equal(single.reset(options={"episode_seed": 6})[0], observations[0])
    infos = batch.step(actions)[4]
    assert infos["episode_seed"].tolist() == [6, 6] and not map_resets(infos, 2).any()
    batch.close()
    single.close()


def test_named_episodes_on_litelab() -> None:
    spec = DMLAB.resolve(EnvSpec(engine="litelab"))
    begin_and_check(DMLAB.make_vec([LEVEL] * 2, spec), partial(DMLAB.make, LEVEL, spec))


def test_named_episodes_in_processes_of_the_real_engine(module: ModuleType) -> None:
    spec = DMLAB.defaults()
    batch = DMLAB.make_vec([LEVEL] * 2, spec)
    assert env_spec_of(batch) == spec
    begin_and_check(batch, partial(DMLAB.make, LEVEL, spec))


def test_references() -> None:
    spec = DMLAB.resolve(EnvSpec(engine="litelab"))
    real = replace(spec, engine="deepmind_lab")
    found = DMLAB.reference(LEVEL, real, "human")
    assert found == Reference("deepmind_lab", LEVEL, "human", 54.0, 4.065)
    assert found.percent(54.0) == 100.0 and found.percent(4.065, minus_random=True) == 0.0
    measured = DMLAB.reference(LEVEL, spec)
    assert measured is not None and measured.engine == "litelab"
    assert DMLAB.reference(LEVEL, spec, "human") is None
    assert DMLAB.reference("lasertag_three_opponents_small", real) is None
    with pytest.raises(ValueError, match="Unknown level"):
        DMLAB.reference("doom", spec)


class Drawing(gym.Env[Any, Any]):
    """A dot that moves by two numbers, with random starts."""

    observation_space = spaces.Box(0, 255, (16, 16, 3), np.uint8)
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, env_spec: EnvSpec) -> None:
        self.env_spec = env_spec

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = self.np_random.integers(16, size=2)
        return self.frame(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place = (self.place + np.round(action).astype(int)) % 16
        return self.frame(), 1.0, False, False, {}

    def frame(self) -> np.ndarray:
        frame = np.zeros((16, 16, 3), np.uint8)
        frame[tuple(self.place)] = 255
        return frame


class Toy:
    """A domain with continuous actions for each name."""

    def __init__(self, name: str) -> None:
        self.name = f"toy:{name}"

    def tasks(self) -> Sequence[Task]:
        return [Task("dot", scored=True, frames=None, terminates=False)]

    def task(self, name: str) -> Task:
        return self.tasks()[0]

    def defaults(self) -> EnvSpec:
        return self.resolve(EnvSpec(self.name, "numpy", "box", "", 1, 16, 16, ()))

    def resolve(self, spec: EnvSpec) -> EnvSpec:
        return replace(spec, action_hash=self.actions(spec).hash)

    def actions(self, spec: EnvSpec) -> ActionSpec:
        return action_spec_of(Drawing.action_space, spec.action_set)

    def make(self, task: str, spec: EnvSpec, evaluation: bool = False, **options: Any) -> gym.Env[Any, Any]:
        return SeededEpisodes(Drawing(self.resolve(spec)), evaluation)

    def make_vec(self, tasks: Sequence[str], spec: EnvSpec, evaluation: bool = False, **options: Any) -> Any:
        return make_batch([partial(self.make, task, spec, evaluation) for task in tasks], **options)

    def reference(self, task: str, spec: EnvSpec, name: str = "expert") -> Reference | None:
        return None

    def shows_last(self, spec: EnvSpec) -> bool:
        return True


@pytest.fixture
def toy() -> Any:
    DOMAINS.register("toy", Toy)
    yield find_domain("toy:dots")
    DOMAINS.unregister("toy")


@pytest.mark.parametrize("processes", [False, True])
def test_a_domain_of_any_environment(toy: Any, processes: bool) -> None:
    assert toy.name == "toy:dots"
    spec = toy.defaults()
    assert toy.actions(spec).continuous == 2
    options = {"processes": True, "context": "fork"} if processes else {}
    batch = toy.make_vec(["dot"] * 2, spec, **options)
    single = toy.make("dot", spec)
    assert env_spec_of(batch) == spec == env_spec_of(single)
    observations, infos = batch.reset(options={"episode_seeds": [8, 9]})
    assert infos["episode_seed"].tolist() == [8, 9]
    np.testing.assert_array_equal(single.reset(options={"episode_seed": 9})[0], observations[1])
    observations, infos = batch.reset(options={"reset_mask": np.array([True, False]), "episode_seeds": [9, 0]})
    assert np.array_equal(observations[0], observations[1])
    infos = batch.step(np.ones((2, 2), np.float32))[4]
    assert map_resets(infos, 2).tolist() == [False, False]
    batch.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"episode_seeds": [1]}, "has 1 entries for num_envs=2"),
        ({"episode_seeds": [1, 2, 3]}, "has 3 entries for num_envs=2"),
        ({"episode_seeds": 1}, "is 1 for num_envs=2"),
        ({"episode_seeds": [1, -2]}, "must be an integer from 0 to 2147483647, got -2"),
        ({"episode_seeds": [1, 2], "episode_seed": 3}, "'episode_seed' or 'episode_seeds', not both"),
    ],
)
def test_episode_seeds_that_are_refused(toy: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        toy.make_vec(["dot"] * 2, toy.defaults()).reset(options=options)


def test_streams_of_training_and_evaluation_differ(toy: Any) -> None:
    spec = toy.defaults()
    train, again, held_out = toy.make("dot", spec), toy.make("dot", spec), toy.make("dot", spec, evaluation=True)
    seeds = [[env.reset(seed=4)[1]["episode_seed"], env.reset()[1]["episode_seed"]] for env in (train, again, held_out)]
    assert seeds[0] == seeds[1] and not set(seeds[0]) & set(seeds[2])
    assert seeds[0][0] == DMLAB.make(LEVEL, EnvSpec(engine="litelab"), frames=False).reset(seed=4)[1]["episode_seed"]


def test_names_of_domains(toy: Any) -> None:
    with pytest.raises(ValueError, match="no domain 'dmlab:x': expected 'dmlab'"):
        find_domain("dmlab:x")
    with pytest.raises(ValueError, match="no domain 'toy': expected 'toy:NAME'"):
        find_domain("toy")
    with pytest.raises(ValueError, match="Unknown domain 'doom'"):
        find_domain("doom")


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Box(0, np.array([1, 0]), dtype=np.float32), "fixed"),
        (spaces.Discrete(40_000), "40,000 choices: expected at most 32,768"),
        (spaces.Text(4), "not supported"),
    ],
)
def test_action_spaces_that_are_refused(space: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        action_spec_of(space)


def test_equal_action_spaces_have_equal_hashes() -> None:
    assert action_spec_of(spaces.Discrete(4)) == action_spec_of(spaces.Discrete(4))
    hashes = {
        action_spec_of(space).hash
        for space in (spaces.Discrete(4), spaces.Discrete(5), spaces.MultiDiscrete([4, 4]), spaces.Box(-1, 1, (4,)))
    }
    assert len(hashes) == 4
