"""Every option is checked: what is not allowed raises ValueError in one sentence that names it, and NumPy's numbers are
numbers.
"""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab.actions import ActionSet
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv, make_vector
from flexlam_rl.envs.registration import DEFAULT_ID
from flexlam_rl.envs.wrappers.instructions import InstructionTokens

NO_COUNTS = (0, -1, True, "2", 1.5, float("nan"), np.float64(2), [2], 2**40)
NO_FLAGS = (0, 1, "False", "no", [], np.int64(1))


def refused(call: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        call(**{name: value})
    sentence = str(caught.value)
    assert name in sentence and "\n" not in sentence, sentence


def batch(**options: Any) -> Any:
    return gym.make_vec(DEFAULT_ID, engine="litelab", **{"num_envs": 2, **options})


def single(**options: Any) -> Any:
    return gym.make(DEFAULT_ID, engine="litelab", **options)


@pytest.mark.parametrize("value", NO_COUNTS)
@pytest.mark.parametrize("name", ["threads", "num_envs", "frame_skip", "max_episode_steps"])
def test_counts(name: str, value: Any) -> None:
    if name != "max_episode_steps" or value != -1:  # which stands for no limit
        refused(batch, name, value)
    if name == "frame_skip":
        refused(single, name, value)
    if name in ("threads", "max_episode_steps") and value != -1:
        refused(lambda **options: DMLabVectorEnv(["rooms_watermaze"], **options), name, value)


@pytest.mark.parametrize("value", NO_FLAGS)
@pytest.mark.parametrize("name", ["evaluation", "copy"])
def test_flags(name: str, value: Any) -> None:
    refused(batch, name, value)
    if name == "evaluation":
        refused(single, name, value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("width", (0, -4, 63, 64.0, "64", True, None, float("nan"), 2**40)),
        ("height", (0, 2, np.float32(64), [64])),
        ("render_size", (320, None, (320,), (320, 240, 3), "ab", (3, 4), (True, 4), (320.0, 240), {4: 8}.keys())),
        ("observations", ([], 3, None, ["RGB", 3], ["RGB", "RGB"], [["RGB"]])),
        ("hud", (None, 1, ["full"], "Full", np.array(["full"]))),
        ("textures", (None, 1, "hd")),
        ("engine", (None, 1, np.array(["litelab"]))),
        ("config", (0, "a", ["a"], [("a", "b")], {"mazeWidth": 11}, {1: "a"}, {"nonsense": "1"}, {"mazeWidth": "-3"})),
        ("level_cache", (3, "", ["a"], True)),
    ],
)
def test_other_options(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        for make in (DMLabEnv, make_vector):
            with pytest.raises(ValueError) as caught:
                make(**{"engine": "litelab", name: value})
            sentence = str(caught.value)
            assert name.removesuffix("s") in sentence and "\n" not in sentence, (value, sentence)


@pytest.mark.parametrize(
    "value", [None, 3, "nope", {"rooms_watermaze": 1}, ["rooms_watermaze", 3], [None, None], [["rooms_watermaze"]] * 2]
)
def test_levels(value: Any) -> None:
    refused(batch, "level", value)
    refused(single, "level", value)


@pytest.mark.parametrize("levels", [[], "rooms_watermaze", [3]])
def test_levels_of_the_class(levels: Any) -> None:
    with pytest.raises(ValueError, match="level"):
        DMLabVectorEnv(levels)


@pytest.mark.parametrize("value", [1, "thread", True, ["fork"]])
def test_context(value: Any) -> None:
    refused(batch, "context", value)


@pytest.mark.parametrize("value", [1, None, "nextstep", ["NextStep"]])
def test_autoreset_mode(value: Any) -> None:
    refused(batch, "autoreset_mode", value)


def test_numpy_numbers_are_numbers(tmp_path: Path) -> None:
    options = {
        "frame_skip": np.int64(2),
        "width": np.int32(8),
        "height": np.uint16(12),
        "render_size": np.array([16, 8]),
        "evaluation": np.bool_(True),
        "level_cache": tmp_path,
        "render_mode": "rgb_array",
    }
    for env in (single(**options), batch(**options, threads=np.int64(1), num_envs=np.int8(2), copy=np.bool_(False))):
        env.reset(seed=np.int64(0))
        assert gym.envs.registration.EnvSpec.from_json(env.spec.to_json()).kwargs["width"] == 8
        assert env.observation_space.shape[-3:] == (12, 8, 3) and type(env.unwrapped.frame_skip) is int
        pictures = env.render()
        assert (pictures if isinstance(pictures, np.ndarray) else pictures[1]).shape == (8, 16, 3)
    tokens = InstructionTokens(single(observations=["INSTR"], level="language_execute_random_task"), np.int64(3))
    assert type(tokens.spec.additional_wrappers[-1].kwargs["length"]) is int


def test_actions_by_name_are_not_cast() -> None:
    pytest.importorskip("dm_env", reason="dm_env is an optional extra")
    from flexlam_rl.envs.litelab.dmenv import Lab

    lab = Lab("contributed/dmlab30/rooms_watermaze", ["DEBUG.POS.ROT"], {"width": "8", "height": "8"})
    lab.reset()
    turn = "LOOK_LEFT_RIGHT_PIXELS_PER_FRAME"
    for bad in (0.7, 1.0, "1", None, True, 2**40, float("nan")):
        with pytest.raises(ValueError, match=f"Action '{turn}' must be an integer, got"):
            lab.step({turn: bad})
    with pytest.raises(ValueError, match="Unknown action 'TURN': expected names among LOOK"):
        lab.step({"TURN": 1})
    lab.step({turn: np.array(3, np.int32), "FIRE": np.uint8(1)})


@pytest.mark.parametrize("row", [(0,) * 6, (600, 0, 0, 0, 0, 0, 0), (0.5,) + (0,) * 6, (True,) + (0,) * 6])
def test_rows_of_action_sets(row: Any) -> None:
    with pytest.raises(ValueError, match="rows of an action set must be 7 integers"):
        ActionSet("own", ("own",), (row,))


def test_own_action_sets_stay_as_they_were_checked() -> None:
    rows = [[np.int64(0)] * 7, [0, 0, 0, np.int32(1), 0, 0, 0]]
    own = ActionSet("own", ("stand", "go"), rows)  # type: ignore[arg-type]
    before = own.hash
    rows[0][0] = 512
    assert own.rows[0] == (0,) * 7 and ActionSet("same", (), own.rows).hash == before
    env = single(action_set=own)
    env.reset(seed=0)
    env.step(1)
    for bad in (True, np.True_, 2, 1.0, "1", None, [1], np.array([1])):
        with pytest.raises(gym.error.InvalidAction):
            env.unwrapped.step(bad)
    two = batch(action_set=own)
    two.reset(seed=0)
    two.step((np.int8(0), np.uint64(1)))
    for bad in (
        [True, False],
        [0.0, 1.0],
        [0, 2],
        [-1, 0],
        [0],
        [[0, 1]],
        1,
        None,
        [0, None],
        ["0", "1"],
        [[0], [0, 1]],
    ):
        with pytest.raises(gym.error.InvalidAction) as caught:
            two.step(bad)
        assert "\n" not in str(caught.value)
