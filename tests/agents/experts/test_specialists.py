"""Pixel experts of several policies: each task is played by the one that was trained on it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flexlam_rl.agents.environments import make_batch
from flexlam_rl.agents.experts.pixel.network import PixelConfig, PixelNetwork
from flexlam_rl.agents.experts.pixel.player import PixelExpert
from flexlam_rl.agents.experts.pixel.specialists import join, load_policies, player_of, policy_for
from flexlam_rl.cli import main
from flexlam_rl.envs.base import level_names
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.nn.places import CheckpointError

MAZE, POOL, ROOM = "explore_goal_locations_small", "rooms_watermaze", "rooms_exploit_deferred_effects_train"
ALL = (MAZE, POOL, ROOM)
SPEC = find_domain("dmlab").resolve(EnvSpec())


def policy(folder: Path, tasks: tuple[str, ...], seed: int, gru: int = 8, spec: EnvSpec = SPEC) -> Path:
    """Write a policy of random weights."""
    torch.manual_seed(seed)
    network = PixelNetwork(PixelConfig(15, tasks, spec, gru, 4, vision="fine" if seed % 2 else "coarse"))
    with torch.no_grad():
        network.policy.weight *= 60
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path, Path]:
    made = [("all", ALL, 0, 8), ("pool", (POOL,), 1, 16), ("rooms", (POOL, ROOM), 2, 4)]
    return tuple(policy(tmp_path / name, tasks, seed, gru) for name, tasks, seed, gru in made)  # type: ignore[return-value]


def actions_of(folder: Path, levels: list[str], steps: int = 12) -> np.ndarray:
    """Actions (steps, n) of an expert that plays levels side by side."""
    env = make_batch(SPEC, levels)
    assert level_names(env) == levels
    expert = PixelExpert(folder, env)
    seeds = np.array([50 + ALL.index(level) for level in levels])
    observation, _ = env.reset(options={"reset_mask": np.ones(len(levels), np.bool_), "episode_seeds": seeds.tolist()})
    expert.begin_episodes(np.arange(len(levels)), seeds)
    state, taken = None, []
    for _ in range(steps):
        actions, state = expert.predict(observation, state)
        taken.append(actions)
        observation, *_ = env.step(actions)
    env.close()
    return np.stack(taken)


def test_each_level_is_played_by_its_own_policy(tmp_path: Path, parts: tuple[Path, Path, Path]) -> None:
    everyone, pool, rooms = parts
    join(everyone, [pool, rooms], tmp_path / "set")
    together = actions_of(tmp_path / "set", [POOL, MAZE, ROOM, POOL])
    for number, (folder, level) in enumerate([(pool, POOL), (everyone, MAZE), (rooms, ROOM), (pool, POOL)]):
        np.testing.assert_array_equal(together[:, number], actions_of(folder, [level])[:, 0])
    assert not np.array_equal(together[:, 0], actions_of(everyone, [POOL])[:, 0])


def test_a_single_environment_has_its_specialist(tmp_path: Path, parts: tuple[Path, Path, Path]) -> None:
    everyone, pool, _ = parts
    join(everyone, [pool], tmp_path / "set")
    states = []
    for folder in (tmp_path / "set", pool, everyone):
        env = find_domain("dmlab").make(POOL, SPEC)
        observation, _ = env.reset(options={"episode_seed": 52})
        expert = PixelExpert(folder, env, temperature=0.0)
        state = None
        for _ in range(4):
            action, state = expert.predict(observation, state)
            observation, *_ = env.step(action)
        states.append(state[0])
        env.close()
    np.testing.assert_array_equal(states[0], states[1])  # the states of a wide specialist
    assert states[0].shape[1] != states[2].shape[1]


def test_of_several_the_one_with_the_fewest_tasks_plays(tmp_path: Path, parts: tuple[Path, Path, Path]) -> None:
    everyone, pool, rooms = parts
    join(everyone, [rooms, pool], tmp_path / "set")
    configs = [network.config for network in load_policies(tmp_path / "set")]
    chosen = [configs[i].tasks for i in player_of(configs, [POOL, ROOM, MAZE, "unknown", ""])]
    assert chosen == [(POOL,), (POOL, ROOM), ALL, ALL, ALL]
    started = [policy_for(tmp_path / "set", tasks) for tasks in ((POOL,), (ROOM,), (POOL, ROOM), (POOL, MAZE))]
    assert [PixelNetwork.saved_config(path).tasks for path in started] == [(POOL,), (POOL, ROOM), (POOL, ROOM), ALL]


def test_join_keeps_what_a_set_has_and_replaces_equal_tasks(tmp_path: Path, parts: tuple[Path, Path, Path]) -> None:
    everyone, pool, rooms = parts
    join(everyone, [pool], tmp_path / "one")
    join(tmp_path / "one", [rooms], tmp_path / "two")
    better = policy(tmp_path / "better", (POOL,), 3)
    told = join(tmp_path / "two", [better], tmp_path / "three")
    assert len(told) == 2
    found = {network.config.tasks: network for network in load_policies(tmp_path / "three")}
    assert torch.equal(found[(POOL,)].policy.weight, PixelNetwork.from_pretrained(better).policy.weight)
    assert torch.equal(found[(POOL, ROOM)].policy.weight, PixelNetwork.from_pretrained(rooms).policy.weight)


def test_specialists_of_as_many_other_tasks_stay_apart(tmp_path: Path, parts: tuple[Path, Path, Path]) -> None:
    everyone, _, _ = parts
    one, two = (policy(tmp_path / str(seed), (MAZE, level), seed) for seed, level in ((3, POOL), (4, ROOM)))
    assert len(join(everyone, [one, two], tmp_path / "set")) == 2
    assert {network.config.tasks for network in load_policies(tmp_path / "set")} == {ALL, (MAZE, POOL), (MAZE, ROOM)}


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path, parts: tuple[Path, Path, Path]) -> None:
    everyone, pool, _ = parts
    small = policy(tmp_path / "small", (POOL,), 4, spec=find_domain("dmlab").resolve(EnvSpec(width=48, height=48)))
    out = tmp_path / "set"
    with pytest.raises(CheckpointError, match=r"does not fit .* frame size \(48, 48\); the environment has \(64, 64\)"):
        join(everyone, [small], out)
    with pytest.raises(ValueError, match=f"trained on the same tasks \\({POOL}\\); give one of them"):
        join(everyone, [pool, pool], out)
    with pytest.raises(ValueError, match="was trained on all tasks"):
        join(everyone, [everyone], out)
    assert not out.exists()
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(ValueError, match="exists and is not empty"):
        join(everyone, [pool], out)
    assert (out / "mine").read_text() == "kept"


def test_the_command_says_what_plays_and_how_to_use_it(
    tmp_path: Path, parts: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    everyone, pool, rooms = map(str, parts)
    out = str(tmp_path / "set")
    assert main(["expert", "join", everyone, "--specialists", pool, rooms, "-o", out]) == 0
    said = capsys.readouterr().out
    assert f"{POOL}: {POOL}" in said and f"--expert pixel:{out}" in said
    assert main(["expert", "join", everyone, "--specialists", str(tmp_path / "none"), "-o", out + "2"]) != 0
    error = capsys.readouterr().err
    assert "none" in error and "Traceback" not in error
