"""litelab.Lab answers every call that was recorded of the real `deepmind_lab.Lab` in the same words
(tests/parity/lab-api.json).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.envs import litelab

API = json.loads((Path(__file__).parents[2] / "parity" / "lab-api.json").read_text())
LEVEL = "contributed/dmlab30/explore_goal_locations_small"
SIZE = {"width": "64", "height": "64"}
IDLE = np.zeros(7, np.intc)


def make(observations: list[str] | None = None, level: str = LEVEL, **config: str) -> Any:
    return litelab.Lab(level, observations or [], config={**SIZE, **config})


@pytest.fixture(scope="module")
def new() -> Any:
    return make(["RGB_INTERLEAVED"])


@pytest.fixture
def running(new: Any) -> Any:
    lab = new
    lab.reset(seed=1)
    return lab


@pytest.fixture(scope="module")
def ended() -> Any:
    """An episode as it was recorded: 4 frames, then 60 at a time to the end."""
    lab = make(["RGB_INTERLEAVED"])
    lab.reset(seed=1)
    lab.step(IDLE, num_steps=4)
    while lab.is_running():
        lab.step(IDLE, num_steps=60)
    return lab


def of_new(call: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: call(make(["RGB_INTERLEAVED"]))


def of_running(call: Callable[[Any], Any]) -> Callable[[], Any]:
    def run() -> Any:
        lab = make(["RGB_INTERLEAVED"])
        lab.reset(seed=1)
        return call(lab)

    return run


def of_closed(call: Callable[[Any], Any]) -> Callable[[], Any]:
    def run() -> Any:
        lab = make()
        lab.reset(seed=1)
        lab.close()
        return call(lab)

    return run


FAST = np.array([600, 0, 0, 5, 0, 0, 0], np.intc)
CALLS: dict[str, Callable[[], Any]] = {
    "observations() before reset": of_new(lambda lab: lab.observations()),
    "step before reset": of_new(lambda lab: lab.step(IDLE)),
    "is_running before reset": of_new(lambda lab: lab.is_running()),
    "reset(seed=1)": of_new(lambda lab: lab.reset(seed=1)),
    'reset(seed="a")': of_new(lambda lab: lab.reset(seed="a")),
    "reset(seed=-3)": of_new(lambda lab: lab.reset(seed=-3)),
    "reset(1.5)": of_new(lambda lab: lab.reset(1.5)),
    "reset()": of_new(lambda lab: lab.reset()),
    "step wrong dtype int64": of_running(lambda lab: lab.step(np.zeros(7, np.int64))),
    "step wrong dtype float": of_running(lambda lab: lab.step(np.zeros(7))),
    "step wrong shape (6,)": of_running(lambda lab: lab.step(np.zeros(6, np.intc))),
    "step list": of_running(lambda lab: lab.step([0] * 7)),
    "step out of range 600": of_running(lambda lab: lab.step(FAST)),
    "step num_steps=0": of_running(lambda lab: lab.step(IDLE, num_steps=0)),
    "step num_steps=-1": of_running(lambda lab: lab.step(IDLE, num_steps=-1)),
    "step ok": of_running(lambda lab: lab.step(IDLE, num_steps=4)),
    "events()": of_running(lambda lab: lab.events()),
    "fps()": of_new(lambda lab: lab.fps()),
    "read_property(engine.fps)": of_new(lambda lab: lab.read_property("engine.fps")),
    "read_property(nope)": of_new(lambda lab: lab.read_property("nope")),
    "write_property(nope)": of_new(lambda lab: lab.write_property("nope", "1")),
    "properties('')": of_new(lambda lab: lab.properties("")),
    "properties('params')": of_new(lambda lab: sorted(lab.properties("params").items())),
    "dir": of_new(lambda lab: [name for name in dir(lab) if not name.startswith("_")]),
    "close()": of_new(lambda lab: lab.close()),
    "step after close": of_closed(lambda lab: lab.step(IDLE)),
    "unknown observation": lambda: make(["NOPE"]),
    "observations as tuple": lambda: litelab.Lab(LEVEL, ("RGB",), config=SIZE),  # type: ignore[arg-type]
    "config int value": lambda: litelab.Lab(LEVEL, [], config={"width": 64}),  # type: ignore[dict-item]
    "width 63": lambda: make(width="63"),
    "unknown level": lambda: make(level="nope/nope"),
    "module dir": lambda: [name for name in dir(litelab) if not name.startswith("_")],
}


def check(recorded: dict[str, str], call: Callable[[], Any]) -> None:
    if "raises" in recorded:
        with pytest.raises(Exception) as caught:
            call()
        assert type(caught.value).__name__ == recorded["raises"]
        message = str(caught.value).replace(litelab.runfiles_path(), "<runfiles>")
        assert message.replace("'Lab'", "'deepmind_lab.Lab'") == recorded["message"]
        return
    value = call()
    assert type(value).__name__ == recorded["type"]
    assert repr(value)[: len(recorded["returns"])] == recorded["returns"]


@pytest.mark.parametrize("name", CALLS)
def test_call_answers_as_recorded(name: str) -> None:
    check(API["behaviour"][name], CALLS[name])


AFTER_END: dict[str, Callable[[Any], Any]] = {
    "num_steps after end": lambda lab: lab.num_steps(),
    "observations() after end": lambda lab: lab.observations(),
    "step after end": lambda lab: lab.step(IDLE),
    "events() after end": lambda lab: lab.events(),
}


@pytest.mark.parametrize("name", AFTER_END)
def test_call_after_the_end_answers_as_recorded(name: str, ended: Any) -> None:
    check(API["behaviour"][name], lambda: AFTER_END[name](ended))


def test_num_steps_counts_the_frames_asked_for(running: Any) -> None:
    for frames in (1, 0, -1, 4):
        running.step(IDLE, num_steps=frames)
    assert running.num_steps() == int(API["behaviour"]["num_steps()"]["returns"])


def test_every_recorded_call_is_tested() -> None:
    assert set(API["behaviour"]) == {*CALLS, *AFTER_END, "num_steps()"}


def test_specs_equal_the_recorded_ones(new: Any) -> None:
    spec = [
        {"name": row["name"], "shape": list(row["shape"]), "dtype": str(row["dtype"])} for row in new.observation_spec()
    ]
    assert spec == API["observation_spec_64x64"]
    assert new.action_spec() == API["action_spec"]


def test_reset_after_close_raises() -> None:
    with pytest.raises(RuntimeError, match="wrong status to reset"):
        of_closed(lambda lab: lab.reset())()
    lab = make()
    assert lab.close() is True
    assert lab.close() is False


def test_module_functions() -> None:
    before = litelab.runfiles_path()
    assert isinstance(litelab.version(), str)
    assert litelab.set_runfiles_path("/somewhere") is True
    try:
        with pytest.raises(RuntimeError, match=r"/somewhere/game_scripts/levels/nope\.lua"):
            make(level="nope")
    finally:
        litelab.set_runfiles_path(before)
    assert (litelab.READABLE, litelab.WRITABLE, litelab.READ_WRITABLE, litelab.LISTABLE) == (1, 2, 3, 4)


ALL = [row["name"] for row in API["observation_spec_64x64"]]


@pytest.mark.parametrize(
    ("level", "players"),
    [("lasertag_three_opponents_small", 4), ("rooms_watermaze", 1), ("language_execute_random_task", 1)],
)
def test_observations_have_the_types_of_the_spec(level: str, players: int) -> None:
    lab = make(ALL, "contributed/dmlab30/" + level)
    lab.reset(seed=3)
    lab.step(IDLE, num_steps=8)
    seen = lab.observations()
    assert list(seen) == ALL
    for row in lab.observation_spec():
        value = seen[row["name"]]
        if row["dtype"] is str:
            assert isinstance(value, str)
        else:
            assert value.dtype == row["dtype"] and value.flags["C_CONTIGUOUS"]
            assert value.shape == tuple(players if size == 0 else size for size in row["shape"]), row["name"]
    assert seen["MAP_FRAME_NUMBER"] == [8]
    assert (seen["INSTR"] != "") == level.startswith("language")
    assert len(seen["DEBUG.PLAYERS.NAME"].split("\n")) == players
    assert seen["DEBUG.PLAYERS.IS_BOT"].tolist() == [0] + [1] * (players - 1)
    assert seen["DEBUG.FLAGS.RED"].tolist() == [0] * 5


def test_image_layouts_hold_the_same_pixels() -> None:
    lab = make(ALL)
    lab.reset(seed=5)
    seen = lab.observations()
    rgb = seen["RGB_INTERLEAVED"]
    assert rgb.std() > 5
    assert np.array_equal(seen["RGB"], rgb.transpose(2, 0, 1))
    assert np.array_equal(seen["BGR_INTERLEAVED"], rgb[..., ::-1])
    assert np.array_equal(seen["RGBD_INTERLEAVED"][..., :3], rgb)
    assert np.array_equal(seen["RGBD"], seen["RGBD_INTERLEAVED"].transpose(2, 0, 1))
    assert np.array_equal(seen["BGRD_INTERLEAVED"][..., 2::-1], rgb)
    assert np.array_equal(seen["RGB_INTERLACED"], rgb) and np.array_equal(
        seen["RGBD_INTERLACED"], seen["RGBD_INTERLEAVED"]
    )
    assert len(np.unique(seen["RGBD"][3])) > 3
    plain, marked = (
        seen["DEBUG.CAMERA_INTERLEAVED.PLAYER_VIEW_NO_RETICLE"],
        seen["DEBUG.CAMERA_INTERLEAVED.PLAYER_VIEW"],
    )
    different = (plain != marked).any(-1)
    assert 0 < different.sum() <= 9 and (marked[31:34, 31:34] == 200).all()
    top = seen["DEBUG.CAMERA_INTERLEAVED.TOP_DOWN"]
    assert np.array_equal(seen["DEBUG.CAMERA.TOP_DOWN"], top.transpose(2, 0, 1))
    assert not np.array_equal(top, plain)


def test_alternative_cameras_take_their_own_size() -> None:
    lab = make(
        ["DEBUG.CAMERA_INTERLEAVED.TOP_DOWN", "RGB_INTERLEAVED"], maxAltCameraWidth="128", maxAltCameraHeight="96"
    )
    lab.reset(seed=1)
    seen = lab.observations()
    assert seen["DEBUG.CAMERA_INTERLEAVED.TOP_DOWN"].shape == (96, 128, 3)
    assert seen["RGB_INTERLEAVED"].shape == (64, 64, 3)


def test_default_size_is_320_by_240() -> None:
    lab = litelab.Lab(LEVEL, ["RGB_INTERLEAVED"])
    lab.reset(seed=1)
    assert lab.observations()["RGB_INTERLEAVED"].shape == (240, 320, 3)


def maze_of(lab: Any, seed: int | None) -> str:
    lab.reset(seed=seed)
    return lab.observations()["DEBUG.MAZE.LAYOUT"]


def test_seeds() -> None:
    layout = ["DEBUG.MAZE.LAYOUT"]
    lab = make(layout)
    first = maze_of(lab, 7)
    assert first.startswith("***") and first.count("\n") == 11
    assert maze_of(make(layout), 7) == first == maze_of(lab, 7)
    assert maze_of(lab, -3) == maze_of(lab, 2**31 - 3), "negative seeds are shifted by 1 + INT_MAX"
    others = [maze_of(lab, 8), maze_of(lab, None), maze_of(lab, None)]
    others += [maze_of(make(layout, mixerSeed=str(0x600D5EED)), 7), maze_of(make(layout, allowHoldOutLevels="true"), 7)]
    assert len({first, *others}) == 6
    assert maze_of(make(layout, randomSeed="4"), None) == maze_of(make(layout, randomSeed="4"), None)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"nonsense": "1"}, 'Invalid setting: "nonsense" = "1"'),
        ({"fps": "30"}, "60 frames a second"),
        ({"height": "-4"}, "'height' must be a positive multiple of 4. Actual -4"),
        ({"mazeWidth": "1000"}, '"mazeWidth" = "1000", expected 5 to 63'),
        ({"roomCount": "many"}, '"roomCount" = "many"'),
        ({"episodeLengthSeconds": "-1"}, "episodeLengthSeconds"),
        ({"startPosition": "1 2"}, 'expected "x y z"'),
        ({"startAngles": "north"}, 'expected "pitch yaw"'),
        ({"record": "demo"}, "record"),
        ({"mixerSeed": "x"}, "'mixerSeed' must be an integer"),
    ],
)
def test_refused_settings_name_themselves(config: dict[str, str], message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        make(**config)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_settings_without_effect_are_taken() -> None:
    make(
        logLevel="warn",
        hasAltCameras="true",
        vmMode="interpreted",
        gpuDeviceIndex="0",
        levelDirectory="",
        textureRandomization="true",
    )


def test_level_name_may_come_from_the_config() -> None:
    lab = make(levelName="contributed/dmlab30/rooms_watermaze", observations=["FRAMES_REMAINING_AT_60"])
    lab.reset(seed=1)
    assert lab.observations()["FRAMES_REMAINING_AT_60"] == [7200]


MAZE = "*****\n*P G*\n*****\n"


def test_own_maze_and_start() -> None:
    names = ["DEBUG.MAZE.LAYOUT", "DEBUG.POS.TRANS", "DEBUG.POS.ROT", "VEL.TRANS"]
    lab = make(names, overrideEntityLayer=MAZE, startPosition="160 150 25.125", startAngles="10 -45")
    for _ in range(2):
        lab.reset(seed=1)
        seen = lab.observations()
        assert seen["DEBUG.MAZE.LAYOUT"] == MAZE
        assert seen["DEBUG.POS.TRANS"].tolist() == [160, 150, 25.125]
        assert np.allclose(seen["DEBUG.POS.ROT"], [10, -45, 0], atol=0.006)
        assert seen["VEL.TRANS"].tolist() == [0, 0, 0]


def test_impossible_maze_text_is_one_sentence() -> None:
    with pytest.raises(ValueError) as caught:
        make(overrideEntityLayer="***\n*P\n***\n")
    assert "line 2" in str(caught.value) and "\n" not in str(caught.value)


def test_goal_in_own_maze_restarts_the_map() -> None:
    lab = make(
        ["MAP_FRAME_NUMBER", "FRAMES_REMAINING_AT_60", "DEBUG.POS.TRANS"], overrideEntityLayer=MAZE, startAngles="0 0"
    )
    lab.reset(seed=1)
    forward = np.array([0, 0, 0, 1, 0, 0, 0], np.intc)
    frames = 0
    reward = 0.0
    while reward == 0 and frames < 300:
        reward = lab.step(forward)
        frames += 1
    assert reward == 10
    before = lab.observations()
    assert before["MAP_FRAME_NUMBER"] == [frames], "the frame of the reward still shows the old place"
    lab.step(forward)
    after = lab.observations()
    assert after["MAP_FRAME_NUMBER"] == [1]
    assert after["FRAMES_REMAINING_AT_60"] == [5400 - frames - 1]
    assert np.linalg.norm(after["DEBUG.POS.TRANS"][:2] - [150, 150]) < 5


def test_properties() -> None:
    lab = make(["DEBUG.MAZE.LAYOUT", "FRAMES_REMAINING_AT_60"])
    lab.reset(seed=2)
    layout = lab.observations()["DEBUG.MAZE.LAYOUT"]
    seed = lab.read_property("params.generatedSeed")
    assert lab.read_property("func.entityLayer." + seed) == layout == lab.read_property("params.currentEntityLayer")
    assert set(lab.read_property("func.variationsLayer." + seed)) <= set(".A\n")
    assert lab.observations()["DEBUG.MAZE.LAYOUT"] == layout, "reading another maze leaves the episode alone"
    lab.write_property("params.episodeLengthSeconds", "10")
    assert lab.observations()["FRAMES_REMAINING_AT_60"] == [5400]
    lab.reset(seed=2)
    assert lab.observations()["FRAMES_REMAINING_AT_60"] == [600]
    lab.write_property("params.overrideEntityLayer", MAZE)
    lab.reset(seed=2)
    assert lab.observations()["DEBUG.MAZE.LAYOUT"] == MAZE
    with pytest.raises(TypeError, match="Type error! Cannot assign"):
        lab.write_property("params.mazeWidth", "wide")
    with pytest.raises(TypeError, match=r"'engine\.fps' not writable"):
        lab.write_property("engine.fps", "30")
    with pytest.raises(TypeError, match="'params' not readable"):
        lab.read_property("params")
    with pytest.raises(TypeError, match=r"'engine\.fps' not listable"):
        lab.properties("engine.fps")
    assert lab.properties("engine") == {"engine.fps": litelab.READABLE}
    assert set(lab.properties("params.camera")) == {"params.camera.1", "params.camera.2", "params.camera.3"}


class Cache:
    """A user's level cache, as DeepMind Lab's documentation shows one."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []

    def fetch(self, key: str, pk3_path: str) -> bool:
        self.calls.append("fetch")
        if key in self.files:
            Path(pk3_path).write_bytes(self.files[key])
        return key in self.files

    def write(self, key: str, pk3_path: str) -> None:
        self.calls.append("write")
        self.files[key] = Path(pk3_path).read_bytes()


def test_level_cache_protocol(tmp_path: Path) -> None:
    cache = Cache()
    lab = litelab.Lab(LEVEL, ["DEBUG.MAZE.LAYOUT"], SIZE, level_cache=cache, temp_folder=str(tmp_path))
    lab.reset(seed=1)
    lab.reset(seed=1)
    assert cache.calls == ["fetch", "write", "fetch"]
    (content,) = cache.files.values()
    assert content.decode().startswith(lab.observations()["DEBUG.MAZE.LAYOUT"])
    assert list(tmp_path.iterdir()) == []
    pool = litelab.Lab("contributed/dmlab30/rooms_watermaze", [], SIZE, level_cache=cache)
    pool.reset(seed=1)
    assert len(cache.calls) == 3, "prebuilt maps do not go through the cache"


def test_observations_are_fresh_arrays(running: Any) -> None:
    first = running.observations()["RGB_INTERLEAVED"]
    kept = first.copy()
    running.step(np.array([60, 0, 0, 1, 0, 0, 0], np.intc), num_steps=10)
    assert np.array_equal(first, kept)
    assert not np.array_equal(running.observations()["RGB_INTERLEAVED"], kept)
