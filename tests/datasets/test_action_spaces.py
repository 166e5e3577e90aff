"""Actions of any space on their way through a store."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from flexlam_rl.datasets import RolloutStore, TransitionPairs, load_labels, make_labels, open_rollouts
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.parquet.exporting import export_parquet
from flexlam_rl.datasets.look import episode_pictures, summary
from flexlam_rl.datasets.record import RecordRollouts
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.validate import validate
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.envs.action_spaces import action_spec_of, space_of
from flexlam_rl.envs.action_values import environment_actions, model_actions, own_actions, stored_actions
from flexlam_rl.utils.errors import StoreError

INF = np.inf
SPACES = {
    "discrete": spaces.Discrete(4, start=-2),
    "several": spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[0, -1], [1, 0]])),
    "binary": spaces.MultiBinary(3),
    "whole": spaces.Box(np.array([-2, 0], np.int32), np.array([5, 9], np.int32), dtype=np.int32),
    "box": spaces.Box(np.array([-0.1, 0, 10], np.float32), np.array([0.3, 1, 1e5], np.float32)),
    "double": spaces.Box(-1 / 3, 1e-300, (2, 2), np.float64),
    "unbounded": spaces.Box(np.array([-INF, 0], np.float32), np.array([1, INF], np.float32)),
}


class Pictures(gym.Env[Any, Any]):
    """Shows the number of the step; episodes of 5 steps."""

    def __init__(self, space: Any, shape: tuple[int, ...] = (6, 8, 3)) -> None:
        self.action_space, self.observation_space = space, spaces.Box(0, 255, shape, np.uint8)

    def _frame(self) -> np.ndarray:
        return np.full(self.observation_space.shape, self._step, np.uint8)

    def reset(self, **options: Any) -> Any:
        self._step = 0
        return self._frame(), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        return self._frame(), 0.1, False, self._step == 5, {}


def record(root: Path, space: Any, episodes: int = 2) -> list[Any]:
    taken = []
    env = RecordRollouts(Pictures(space), root, level="x")
    space.seed(3)
    for _ in range(episodes):
        env.reset()
        for _ in range(5):
            taken.append(space.sample())
            env.step(taken[-1])
    env.close()
    return taken


@pytest.mark.parametrize("name", SPACES)
def test_actions_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari.exporting import export_minari
    from flexlam_rl.datasets.formats.minari.importing import import_minari

    space = SPACES[name]
    taken = record(tmp_path / "a", space)
    record(tmp_path / "a", space, 1)  # a second writer goes on with the store
    store = RolloutStore(tmp_path / "a" / "x" / "train.zarr")
    assert validate(store.path).problems == [] and store.episodes == 3
    spec = store.origin.actions
    assert spec is not None and space_of(spec) == space and store.acted.reshape(3, 6)[:, :5].all()
    assert not store.acted.reshape(3, 6)[:, 5].any()
    found = own_actions(store.action[:][store.acted], spec)
    assert found.dtype == np.asarray(taken[0]).dtype and np.array_equal(found[:10], np.array(taken))
    if name != "unbounded":
        bound = environment_actions(model_actions(store.action[:][store.acted], spec), spec)
        assert np.allclose(bound[:10], np.array(taken), rtol=1e-4, atol=1e-6)
        assert all(space.contains(action if np.ndim(action) else int(action)) for action in bound)
    seen = summary(store)
    if name == "several":
        assert [entry["smallest"] for entry in seen["dimensions"]] == found.reshape(15, 4).min(0).tolist()
    assert len(list(episode_pictures(store, 0))) == 6
    export_minari(store, tmp_path / "m")
    assert import_minari(tmp_path / "m", tmp_path / "b").digest == store.digest
    if name == "discrete":
        assert export_parquet(store, tmp_path / "p")
    else:
        with pytest.raises(ValueError, match="the parquet layout has one number per"):
            export_parquet(store, tmp_path / "p")


def test_models_choose_no_action_outside_the_bounds() -> None:
    for space in (SPACES["box"], SPACES["double"]):
        spec = action_spec_of(space)
        for number in (-7.0, -1.0, 1.0, 7.0):
            action = environment_actions(np.full((1, spec.dims), number, np.float32), spec)[0]
            assert space.contains(action) and np.array_equal(action, space.low if number < 0 else space.high)


@pytest.mark.parametrize(
    ("space", "action", "says"),
    [
        (SPACES["discrete"], 2, "is 2 at 0: expected -2 to 1"),
        (SPACES["several"], np.array([[0, 2], [1, 0]]), "is 2 in dimension 1 at 0: expected -1 to 1"),
        (SPACES["box"], np.array([0, 0, 1], np.float32), "is 1 in dimension 2 at 0: expected 10 to 100000"),
        (SPACES["box"], np.array([0, 0.1, 20]), "float32 cannot hold this number as it is"),
        (SPACES["unbounded"], np.array([np.nan, 0], np.float32), "is nan in dimension 0"),
        (SPACES["box"], np.zeros(2, np.float32), r"has the shape \(2,\): expected \(3,\)"),
    ],
)
def test_other_actions_are_refused(space: Any, action: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        stored_actions(np.asarray(action)[None], action_spec_of(space))


def test_spaces_of_no_numbers_are_refused(tmp_path: Path) -> None:
    for space in (spaces.Text(3), spaces.Discrete(40_000), spaces.Box(0, 0, (2,))):
        with pytest.raises(StoreError, match=r"RecordRollouts cannot store the actions"):
            RecordRollouts(Pictures(space), tmp_path, level="x")


@pytest.mark.parametrize("name", ["box", "discrete", "dmlab"])
def test_labels_come_from_episodes_with_actions(name: str, tmp_path: Path) -> None:
    spec = None if name == "dmlab" else action_spec_of(SPACES[name])
    origin = Origin(engine="x", actions=spec, action_table=() if spec else ((0,) * 7,) * 4)
    numbers = np.arange(4, dtype=np.int16)
    if name == "box":
        numbers = stored_actions(np.array([[0, 0, 10 + i] for i in range(4)], np.float32), spec)
    with RolloutWriter(tmp_path, "x", "train", origin) as writer:
        for i in range(6):
            frames = np.full((5, 4, 4, 3), i, np.uint8)
            writer.append_episode(Episode(frames, numbers, np.ones(4)) if i == 4 else Episode(frames))
        with pytest.raises(ValueError, match="expected both, neither"):
            writer.append_episode(Episode(frames, numbers))
    with RolloutWriter(tmp_path, "y", "train", origin, with_actions=False) as writer:
        writer.append_episode(Episode(np.zeros((5, 4, 4, 3), np.uint8)))
    rollouts = open_rollouts(tmp_path)
    store = rollouts[0]
    assert validate(store.path).problems == []
    assert [store.episode_at(i).action is None for i in range(6)] == [True] * 4 + [False, True]
    assert summary(store)["steps_with_actions"] == 4
    assert store.episode_at(0).action_native is None and store.episode_at(0).reward is None
    with pytest.raises(ValueError, match="it has 4 transitions whose action"):
        make_labels(rollouts, "many", count=5)
    with pytest.raises(StoreError, match="has no actions"):
        make_labels(rollouts, "video", count=1, levels=["y"])
    make_labels(rollouts, "few", count=4, validation=0.25)
    parts = [load_labels(rollouts, "few", part).rows[0] for part in ("train", "validation")]
    assert sorted(np.concatenate(parts).tolist()) == [20, 21, 22, 23]
    pairs = TransitionPairs(rollouts, ("action", "previous_action"))
    every = pairs.read(np.arange(len(pairs)))
    known = ~np.isnan(every["action"][:, 0]) if name == "box" else every["action"] >= 0
    assert np.flatnonzero(known).tolist() == [16, 17, 18, 19]  # 4 transitions per episode, those of the fifth
    assert np.array_equal(every["action"][known], numbers) and np.array_equal(
        every["previous_action"][known][1:], numbers[:-1]
    )


def test_labels_stand_in_for_bounds_that_a_space_does_not_have() -> None:
    pytest.importorskip("torch")
    from flexlam_rl.agents.policy.compatibility import check_spaces
    from flexlam_rl.train.actions import bounded

    space = SPACES["unbounded"]  # from nothing to 1, and from 0 to nothing
    stored = np.array([[-3, 5], [0.5, 5]], np.float32)
    spec = bounded(action_spec_of(space), stored)
    assert (spec.low, spec.high) == ((-3.0, 0.0), (1.0, 5.0))
    with pytest.raises(ValueError, match=r"Dimension 0 .* has the bounds -inf and 1"):
        model_actions(stored, action_spec_of(space))
    seen = model_actions(stored, spec)
    assert np.allclose(seen, [[-1, 1], [0.75, 1]]) and np.array_equal(environment_actions(seen, spec), stored)
    env = Pictures(space)
    check_spaces(env, spec, 3)
    env.action_space = SPACES["box"]
    with pytest.raises(ValueError, match="was trained with the action space"):
        check_spaces(env, spec, 3)
