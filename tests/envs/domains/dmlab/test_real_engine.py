"""`DMLabEnv` on the real engine: over a stand-in that replays recordings, and over the real module where it can be
imported.
"""

import builtins
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stand_in
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab import level_cache, real_engine
from flexlam_rl.envs.errors import EngineMissing, ResetNeeded
from flexlam_rl.envs.registration import DEFAULT_ID, level_id

MAZE_LEVEL = "explore_obstructed_goals_small"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setattr(level_cache, "default_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(real_engine, "_owner", None)
    return stand_in.install(monkeypatch)


def make(level: str = MAZE_LEVEL, **options: Any) -> gym.Env[Any, Any]:
    return gym.make(level_id(level), engine="deepmind_lab", **options)


def test_auto_takes_the_real_engine_where_it_can_be_imported(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = gym.make(DEFAULT_ID)
    assert env.unwrapped.engine == "deepmind_lab"
    env.close()
    monkeypatch.setitem(sys.modules, "deepmind_lab", None)
    assert gym.make(DEFAULT_ID).unwrapped.engine == "litelab"


def test_missing_module_names_the_ways_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", imported)
    monkeypatch.setitem(sys.modules, "deepmind_lab", None)
    with pytest.raises(EngineMissing) as caught:
        make()
    for word in ("deepmind_lab", "Bazel", "Docker", "engine='litelab'"):
        assert word in str(caught.value)
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize("level", [MAZE_LEVEL, "psychlab_visual_search", "rooms_watermaze"])
def test_check_env(module: ModuleType, level: str) -> None:
    env = make(level).unwrapped
    check_env(env, skip_render_check=True, skip_close_check=True)
    env.close()


def test_config_observations_and_seed_reach_the_engine(module: ModuleType) -> None:
    env = make(hud="none", width=32, height=48, config={"logLevel": "warn"}, observations=["DEBUG.POS.TRANS", "INSTR"])
    observation, info = env.reset(seed=4)
    (lab,) = stand_in.Lab.alive
    assert lab.level == "contributed/dmlab30/" + MAZE_LEVEL
    assert lab.config == {"width": "32", "height": "48", "minimalUI": "true", "logLevel": "warn"}
    assert lab.seeds == [info["episode_seed"]]
    assert set(observation) == {"DEBUG.POS.TRANS", "INSTR"} and observation in env.observation_space
    env.close()
    held_out = make(evaluation=True, hud="reduced")
    held_out.reset(seed=4)
    (lab,) = stand_in.Lab.alive
    assert (
        lab.config["mixerSeed"] == str(0x600D5EED)
        and lab.config["allowHoldOutLevels"] == "true"
        and lab.config["reducedUI"] == "true"
    )
    assert lab.seeds != [info["episode_seed"]]
    held_out.close()


def play(env: gym.Env[Any, Any], seed: int) -> list[Any]:
    steps = []
    env.reset(seed=seed)
    while not steps or not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(0))
    return steps


def test_episode_is_the_recording(module: ModuleType) -> None:
    """Frames, rewards and restarts of a whole recorded episode; its end is a time-out that repeats the last frame."""
    env = make(observations=["RGB_INTERLEAVED", "DEBUG.POS.TRANS", "MAP_FRAME_NUMBER"])
    steps = play(env, 1)
    recording = next(iter(stand_in.Lab.alive))._recording
    frames = np.arange(4, recording.length, 4)
    assert len(steps) == len(frames) + 1
    assert sum(step[1] for step in steps) == recording.reward.sum()
    rows = frames // recording.stride
    for step, frame, row in zip(steps, frames, rows, strict=False):
        assert np.array_equal(step[0]["RGB_INTERLEAVED"], recording.picture(frame))
        assert np.array_equal(step[0]["DEBUG.POS.TRANS"], recording.position[row])
    numbers = np.concatenate([[0], recording.map_frame[rows]])
    assert [step[4]["map_reset"] for step in steps[:-1]] == (numbers[1:] < numbers[:-1] + 4).tolist()
    assert all(step[4]["frames"] == 4 for step in steps) and steps[0][4]["engine"] == "deepmind_lab"
    assert steps[-1][2:4] == (False, True)
    assert np.array_equal(steps[-1][0]["RGB_INTERLEAVED"], steps[-2][0]["RGB_INTERLEAVED"])
    assert steps[-1][0]["RGB_INTERLEAVED"] is not steps[-2][0]["RGB_INTERLEAVED"]
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.close()


def test_restarts_within_an_episode_are_told(module: ModuleType) -> None:
    """The recordings have some; where the number of the map's frame falls, and only there, map_reset is set."""
    for level in (MAZE_LEVEL, "explore_goal_locations_small", "language_execute_random_task"):
        for number, path in enumerate(stand_in.recordings(level)):
            fell = stand_in.Recording(path).map_frame
            if (np.diff(fell) < 0).any():
                env = make(level)
                env.reset(seed=0)
                env.unwrapped._engine.reset(number)
                resets = [env.step(0)[4]["map_reset"] for _ in range(299)]
                assert any(resets) and sum(resets) < 40
                env.close()
                return
    pytest.fail("no recording has a restart")


@pytest.mark.parametrize(
    ("level", "end_at", "flags"),
    [
        ("psychlab_visual_search", 402, (True, False)),
        ("rooms_exploit_deferred_effects_train", 203, (True, False)),
        ("rooms_watermaze", 402, (False, True)),
    ],
)
def test_early_end_terminates_where_rules_can_end_an_episode(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, level: str, end_at: int, flags: tuple[bool, bool]
) -> None:
    monkeypatch.setattr(stand_in.Lab, "end_at", end_at)
    env = make(level)
    steps = play(env, 0)
    assert len(steps) == -(-end_at // 4) and steps[-1][2:4] == flags
    env.close()


def test_failed_start_frees_the_process(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make("natlab_varying_map_regrowth")
    monkeypatch.setattr(stand_in, "recordings", lambda level: [])
    with pytest.raises(RuntimeError, match="Level not found"):
        env.reset(seed=0)
    monkeypatch.undo()
    assert real_engine._owner is None


def test_maps_are_compiled_once(module: ModuleType, tmp_path: Path) -> None:
    for _ in range(3):
        env = make()
        for seed in range(3):
            env.reset(seed=seed)
        env.close()
    mazes = {stand_in.Recording(path).maze for path in stand_in.recordings(MAZE_LEVEL)}
    assert 1 <= stand_in.Lab.compiled <= len(mazes)
    assert len(list((tmp_path / "cache").glob("*.map"))) == stand_in.Lab.compiled


def test_cache_folder_that_cannot_be_written_is_one_sentence(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="level_cache must be a folder that can be written to"):
        make(level_cache=str(tmp_path / "file" / "cache"))


def test_other_levels_of_the_real_engine(module: ModuleType) -> None:
    env = gym.make(DEFAULT_ID, level="tests/empty_room", engine="deepmind_lab")
    with pytest.raises(RuntimeError, match="Level not found"):
        env.reset(seed=0)
    with pytest.raises(ValueError, match="Unknown level"):
        gym.make(DEFAULT_ID, level="tests/empty_room", engine="litelab")


def test_render(module: ModuleType) -> None:
    env = make(render_mode="rgb_array", observations=["VEL.TRANS"])
    env.reset(seed=0)
    assert env.render().shape == (240, 320, 3)
    env.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_make_vec_makes_processes(module: ModuleType) -> None:
    """Each process has its own engine; the parent has none."""
    env = gym.make_vec(
        DEFAULT_ID,
        num_envs=2,
        level=[MAZE_LEVEL, "rooms_watermaze"],
        engine="deepmind_lab",
        autoreset_mode="SameStep",
        context="fork",
    )
    try:
        assert isinstance(env, gym.vector.AsyncVectorEnv) and env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        observations, infos = env.reset(seed=0)
        assert observations.shape == (2, 64, 64, 3)
        assert infos["level"].tolist() == [MAZE_LEVEL, "rooms_watermaze"] and set(infos["engine"]) == {"deepmind_lab"}
        assert env.step(np.array([0, 1]))[4]["frames"].tolist() == [4, 4]
        assert stand_in.Lab.alive == []
    finally:
        env.close()


def test_stand_in_raises_what_was_recorded(module: ModuleType) -> None:
    lab = module.Lab("contributed/dmlab30/" + MAZE_LEVEL, ["RGB_INTERLEAVED"], {"width": "64", "height": "64"})
    idle = np.zeros(7, np.intc)
    for call, recorded in (
        (lambda: lab.observations(), "observations() before reset"),
        (lambda: lab.step(idle), "step before reset"),
        (lambda: lab.step([0] * 7), "step list"),
        (lambda: lab.reset(seed="a"), 'reset(seed="a")'),
    ):
        with pytest.raises(Exception) as caught:
            call()
        assert str(caught.value) == stand_in.BEHAVIOUR[recorded]["message"]
    lab.reset(seed=0)
    for action, recorded in ((np.zeros(7), "step wrong dtype float"), (np.zeros(6, np.intc), "step wrong shape (6,)")):
        with pytest.raises(ValueError) as caught:
            lab.step(action)
        assert str(caught.value) == stand_in.BEHAVIOUR[recorded]["message"]
    lab.close()
    with pytest.raises(AssertionError, match="crashes"):
        lab.reset()


@pytest.mark.real_dmlab
def test_real_module() -> None:
    """The same path on the real engine, unchanged."""
    pytest.importorskip("deepmind_lab", reason="the real deepmind_lab is not installed")
    env = make(
        observations=["RGB_INTERLEAVED", "MAP_FRAME_NUMBER", "DEBUG.POS.TRANS"], config={"episodeLengthSeconds": "5"}
    )
    steps = play(env, 1)
    assert len(steps) == 75 and steps[-1][2:4] == (False, True)
    assert all(step[0] in env.observation_space for step in steps)
    assert [step[0]["MAP_FRAME_NUMBER"][0] for step in steps[:-1]] == list(range(4, 300, 4)) or any(
        s[4]["map_reset"] for s in steps
    )
    env.close()
