"""`DMLabEnv` on litelab: Gymnasium's contracts, seeds, ends, infos, refusals."""

import hashlib
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab.actions import NATIVE_HIGH, NATIVE_LOW
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.envs.errors import ClosedError, InvalidAction, ResetNeeded
from flexlam_rl.envs.registration import DEFAULT_ID, level_id

INFO_KEYS = {"engine", "level", "episode_seed", "map_reset", "frames", "events"}


def make(level: str = "explore_goal_locations_small", **options: Any) -> gym.Env[Any, Any]:
    return gym.make(level_id(level), engine="litelab", **options)


@pytest.mark.parametrize("env_id", [DEFAULT_ID, *map(level_id, LEVELS)])
def test_check_env(env_id: str) -> None:
    pytest.importorskip("pygame", reason="render_mode='human' needs pygame")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        check_env(gym.make(env_id, engine="litelab").unwrapped)


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def test_default() -> None:
    env = gym.make(DEFAULT_ID, engine="litelab")
    observation, info = env.reset(seed=0)
    assert env.action_space == spaces.Discrete(15)
    assert env.observation_space == spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert observation in env.observation_space and observation.std() > 5
    assert set(info) == INFO_KEYS
    assert info["engine"] == "litelab" and info["level"] == "explore_goal_locations_small"
    assert info["frames"] == 0 and info["map_reset"] is False and info["events"] == ()
    observation, reward, terminated, truncated, info = env.step(0)
    assert observation in env.observation_space
    assert type(reward) is float and type(terminated) is bool and type(truncated) is bool
    assert set(info) == INFO_KEYS and info["frames"] == 4


def episode(env: gym.Env[Any, Any], seed: int | None, steps: int) -> str:
    digest = hashlib.sha256()
    observation, info = env.reset(seed=seed)
    digest.update(str(info["episode_seed"]).encode())
    rng = np.random.default_rng(5)
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(int(rng.integers(15)))
        digest.update(observation.tobytes())
        digest.update(repr((reward, terminated, truncated, info["map_reset"])).encode())
    return digest.hexdigest()


PROCESS = """
import sys
sys.path.insert(0, {folder!r})
from test_dmlab import episode, make
print(episode(make({level!r}), 11, 40))
"""


@pytest.mark.parametrize("level", ["explore_object_rewards_many", "lasertag_three_opponents_small"])
def test_same_seed_gives_the_same_episode_in_another_process(level: str) -> None:
    env = make(level)
    here = [episode(env, 11, 40), episode(env, 11, 40), episode(env, 12, 40)]
    code = PROCESS.format(folder=str(__file__).rsplit("/", 1)[0], level=level)
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert here[0] == here[1] == there != here[2]


def seeds(env: gym.Env[Any, Any], count: int, seed: int | None) -> list[int]:
    first = [env.reset(seed=seed)[1]["episode_seed"]]
    return first + [env.reset()[1]["episode_seed"] for _ in range(count - 1)]


def test_unseeded_resets_differ_and_continue_the_stream() -> None:
    env = make()
    stream = seeds(env, 5, 3)
    assert len(set(stream)) == 5
    assert seeds(make(), 5, 3) == stream
    assert len({*seeds(make(), 3, None), *seeds(make(), 3, None)}) == 6
    assert all(0 <= seed < 2**31 for seed in stream)


def test_evaluation_is_another_stream() -> None:
    train, held_out = make(), make(evaluation=True)
    assert not set(seeds(train, 200, 3)) & set(seeds(held_out, 200, 3))
    # even an equal episode seed is another world, because the held-out bit and the mixer seed are part of a world's
    # seed
    layouts = []
    for env in (train, held_out):
        env.reset(seed=0)
        env.unwrapped._engine.reset(7)
        layouts.append(env.unwrapped._engine.batch.worlds[0]["seed"])
    assert layouts[0] == 7 and layouts[1] >> np.uint64(32) == 0x600D5EED


def test_time_out_is_truncation_with_the_true_last_frame() -> None:
    env = make(
        config={"episodeLengthSeconds": "1"}, observations=["FRAMES_REMAINING_AT_60", "RGB_INTERLEAVED"], frame_skip=7
    )
    env.reset(seed=0)
    played = []
    while True:
        observation, _, terminated, truncated, info = env.step(5)
        played.append(info["frames"])
        if terminated or truncated:
            break
        before = observation
    assert (terminated, truncated) == (False, True)
    assert played == [7] * 8 + [4]
    assert observation["FRAMES_REMAINING_AT_60"] == [0]
    assert not np.array_equal(before["RGB_INTERLEAVED"], observation["RGB_INTERLEAVED"])


def test_rules_that_end_an_episode_terminate() -> None:
    """Ten pickups end deferred effects 0.2 s later; here the world's end is set to fall due."""
    env = make("rooms_exploit_deferred_effects_train")
    env.reset(seed=0)
    world = env.unwrapped._engine.batch.worlds[0]
    world["end_ms"] = world["map_ms"] + 32
    result = [env.step(14)[2:4] for _ in range(1)]
    assert result == [(True, False)]
    with pytest.raises(ResetNeeded, match="after the end of the episode"):
        env.step(0)


def test_map_reset_is_told() -> None:
    maze = "*****\n*P G*\n*****\n"
    env = make(
        config={"overrideEntityLayer": maze, "startAngles": "0 0"}, observations=["MAP_FRAME_NUMBER", "DEBUG.POS.TRANS"]
    )
    env.reset(seed=0)
    resets, rewards = [], []
    for _ in range(40):
        observation, reward, *_, info = env.step(0)
        resets.append(info["map_reset"])
        rewards.append(reward)
        assert info["map_reset"] == (
            observation["MAP_FRAME_NUMBER"][0] < 4 or (info["map_reset"] and observation["MAP_FRAME_NUMBER"][0] <= 4)
        )
    assert sum(rewards) >= 10 and any(resets)
    first = rewards.index(10.0)
    assert resets[first] or resets[first + 1], "the restart falls in the step of the reward or in the next one"


def test_several_observations_and_text() -> None:
    env = make("language_execute_random_task", observations=["RGB", "INSTR", "VEL.TRANS", "DEBUG.MAZE.LAYOUT"])
    assert isinstance(env.observation_space, spaces.Dict)
    text = env.observation_space["INSTR"]
    assert isinstance(text, spaces.Text) and text.min_length == 0 and text.max_length == 64
    for _ in range(3):
        observation, _ = env.reset()
        assert observation in env.observation_space
        assert observation["INSTR"]
    alone = make("language_execute_random_task", observations=["INSTR"])
    assert isinstance(alone.reset(seed=1)[0], str)


def test_native_actions() -> None:
    env = make(action_set="native7", observations=["DEBUG.POS.ROT"], config={"startAngles": "0 0"})
    env.reset(seed=0)
    observation, *_ = env.step(np.array([10, 20, 0, 0, 0, 0, 0], np.int32))
    assert np.allclose(observation, [4 * 20 * 0.1056, -4 * 10 * 0.1056, 0], atol=0.05)
    env.step(env.action_space.sample())


@pytest.mark.parametrize("action", [-1, 15, 1.0, "0", None, np.array([0, 1])])
def test_action_outside_the_space(action: Any) -> None:
    env = make()
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="dreamer15 has actions 0 to 14"):
        env.step(action)
    env.step(np.int64(3))


@pytest.mark.parametrize("action", [[0] * 6, [600, 0, 0, 0, 0, 0, 0], [0.5] * 7, 3])
def test_native_action_outside_the_space(action: Any) -> None:
    env = make(action_set="native7")
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="native7 takes 7 integers"):
        env.step(action)


def test_calls_out_of_order() -> None:
    env = make().unwrapped
    with pytest.raises(ResetNeeded, match="before the first reset"):
        env.step(0)
    env.close()
    env.close()
    with pytest.raises(ClosedError):
        env.step(0)
    with pytest.raises(ClosedError):
        env.reset()
    with pytest.raises(RuntimeError):
        env.step(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "nope"}, "Unknown level 'nope': expected one of explore_goal"),
        ({"engine": "doom"}, "engine must be one of 'auto', 'litelab', 'deepmind_lab', got 'doom'"),
        ({"action_set": "nope"}, "Unknown action set 'nope'"),
        ({"observations": ["NOPE"]}, "Unknown observation 'NOPE': expected names among RGB_INTERLEAVED"),
        ({"observations": []}, "one or more"),
        ({"observations": ["RGB", "RGB"]}, "different names"),
        ({"width": 63}, "width must be a positive multiple of 4, got 63"),
        ({"height": 0}, "height must be a positive multiple of 4, got 0"),
        ({"width": 64.0}, "got 64.0"),
        ({"frame_skip": 0}, "frame_skip must be an integer of at least 1, got 0"),
        ({"hud": "some"}, "hud must be one of 'full', 'reduced', 'none', got 'some'"),
        ({"textures": "hd"}, "textures must be one of 'procedural', 'labmaze', got 'hd'"),
        ({"render_mode": "ansi"}, "render_mode must be one of"),
        ({"render_size": [3, 4]}, "render_size"),
        ({"config": {"width": "64"}}, "config must not hold 'width'"),
        ({"config": {"mazeWidth": 3}}, "config must map strings to strings"),
        ({"config": {"overrideEntityLayer": "*P"}}, "overrideEntityLayer"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, Any], message: str) -> None:
    from flexlam_rl.envs.domains.dmlab.env import DMLabEnv

    with pytest.raises(ValueError) as caught:
        DMLabEnv(**{"engine": "litelab", **options})
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_rendering_has_its_own_size_and_changes_nothing() -> None:
    env, plain = make(render_mode="rgb_array"), make()
    assert env.metadata["render_fps"] == 15
    env.reset(seed=2), plain.reset(seed=2)
    for action in (0, 7, 12):
        picture = env.render()
        assert picture.shape == (240, 320, 3) and picture.dtype == np.uint8
        assert np.array_equal(env.step(action)[0], plain.step(action)[0])
    with pytest.raises(ResetNeeded):
        make(render_mode="rgb_array").unwrapped.render()


def test_window() -> None:
    pytest.importorskip("pygame")
    env = make(render_mode="human", render_size=[160, 120])
    env.reset(seed=0)
    env.step(0)
    assert env.render() is None
    env.close()


def test_hud_changes_pixels_only() -> None:
    seen = {hud: make(hud=hud).reset(seed=4)[0] for hud in ("full", "reduced", "none")}
    assert not np.array_equal(seen["full"], seen["none"])
    assert np.array_equal(seen["full"][10:50, :26], seen["none"][10:50, :26])


ENVS: dict[str, gym.Env[Any, Any]] = {}
PARTS = [st.sampled_from(sorted({low, 0, high})) for low, high in zip(NATIVE_LOW, NATIVE_HIGH, strict=True)]
EXTREME = st.tuples(*PARTS)
# in lasertag_three_opponents_small a rocket's burst lifts the player
LIFTED = [
    ((-512, -512, -1, -1, 0, 0, 0), 14),
    ((0, -512, 0, -1, 0, 0, 0), 5),
    ((-512, -512, 0, -1, 0, 0, 0), 1),
    ((-512, -512, -1, -1, 0, 1, 0), 7),
    ((-512, -512, -1, -1, 0, 0, 0), 24),
    ((0, 512, -1, -1, 1, 0, 0), 22),
]


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**31 - 1), actions=st.lists(st.tuples(EXTREME, st.integers(1, 40)), min_size=1, max_size=12)
)
@example(seed=4308002, actions=LIFTED)
def test_no_sequence_of_actions_breaks_a_level(
    level: str, seed: int, actions: list[tuple[tuple[int, ...], int]]
) -> None:
    """Nothing leaves the map, becomes a NaN, or draws outside uint8."""
    names = [
        "RGBD_INTERLEAVED",
        "DEBUG.POS.TRANS",
        "DEBUG.POS.ROT",
        "VEL.TRANS",
        "VEL.ROT",
        "DEBUG.PLAYERS.EYE.POS",
        "DEBUG.MAZE.LAYOUT",
    ]
    if level not in ENVS:
        ENVS[level] = make(level, action_set="native7", frame_skip=1, observations=names, width=16, height=16)
    env = ENVS[level]
    observation, _ = env.reset(seed=seed)
    for action, times in actions:
        for _ in range(times):
            observation, reward, terminated, truncated, _ = env.step(np.array(action, np.int32))
            assert np.isfinite(reward)
            if terminated or truncated:
                return
        assert observation in env.observation_space
        assert all(np.isfinite(observation[name]).all() for name in names[1:6])
        x, y, z = observation["DEBUG.POS.TRANS"]
        rows = observation["DEBUG.MAZE.LAYOUT"].split("\n")[:-1]
        if rows:
            # no level has a ceiling: a jump lifts by 45 units, the burst of a rocket by more than a wall's height
            highest = 1000 if level.startswith("lasertag") else 100
            assert 0 < x < 100 * len(rows[0]) and 0 < y < 100 * len(rows) and 20 < z < highest
            assert rows[len(rows) - 1 - int(y // 100)][int(x // 100)] != "*"
        else:
            assert max(abs(x), abs(y)) < 4000 and -500 < z < 1000
        assert abs(observation["DEBUG.POS.ROT"][0]) <= 87.9
