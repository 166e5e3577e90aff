"""Recordings of the real DeepMind Lab, and litelab worlds that replay them.

`traces/`: single frames with native actions, kept beside this file. `rollouts/`: agent steps of four frames, read from
the folder that FLEXLAM_DMLAB_RECORDINGS names, if it is set.
"""

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.envs.litelab import engine, settings
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.clock import frame_ms, restart_clock, start_clock
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import deferred
from flexlam_rl.envs.litelab.physics import LANDING_MS, LANDING_SPEED, move
from flexlam_rl.envs.litelab.pose import land

HERE = Path(__file__).parent
TURN = 65536 / 360
NEAR = 0.1  # a replay farther off than this has gone through or against a door that stood otherwise
# Native actions of the rollouts' action numbers (dreamer15): look right, look down, strafe, forward, fire, jump,
# crouch.
DREAMER15 = np.array(
    [
        (0, 0, 0, 1, 0, 0, 0),
        (0, 0, 0, -1, 0, 0, 0),
        (0, 0, -1, 0, 0, 0, 0),
        (0, 0, 1, 0, 0, 0, 0),
        (-10, 0, 0, 0, 0, 0, 0),
        (10, 0, 0, 0, 0, 0, 0),
        (-60, 0, 0, 0, 0, 0, 0),
        (60, 0, 0, 0, 0, 0, 0),
        (0, 10, 0, 0, 0, 0, 0),
        (0, -10, 0, 0, 0, 0, 0),
        (-10, 0, 0, 1, 0, 0, 0),
        (10, 0, 0, 1, 0, 0, 0),
        (-60, 0, 0, 1, 0, 0, 0),
        (60, 0, 0, 1, 0, 0, 0),
        (0, 0, 0, 0, 1, 0, 0),
    ],
    np.int64,
)


@dataclass
class Recording:
    """One recording as single frames: row t is the state before action t. Of a rollout only every fourth row is
    known.
    """

    name: str
    actions: np.ndarray  # (T, 7) int64
    position: np.ndarray  # (T, 3)
    rotation: np.ndarray  # (T, 3) degrees: pitch, yaw, roll
    velocity: np.ndarray  # (T, 3) in world axes, whole numbers
    map_frame: np.ndarray  # (T,)
    reward: np.ndarray  # (T,)
    maze: str = ""
    skip: int = 1
    doors: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def level(self) -> str:
        return self.name.rsplit("-", 1)[0]

    @property
    def segments(self) -> list[tuple[int, int]]:
        """[first, last) frames between map restarts, without the frame of the restart itself."""
        cuts = np.flatnonzero(np.diff(self.map_frame) < 0) + 1
        edges = [0, *cuts, len(self.actions)]
        return [(a + (1 if a else 0), b) for a, b in itertools.pairwise(edges)]


def load_trace(path: Path) -> Recording:
    data = np.load(path)
    yaw = np.deg2rad(data["debug_pos_rot"][:, 1])
    forward, left, up = data["vel_trans"].T
    velocity = np.stack([forward * np.cos(yaw) - left * np.sin(yaw), forward * np.sin(yaw) + left * np.cos(yaw), up], 1)
    assert np.abs(velocity - np.rint(velocity)).max() < 0.02
    return Recording(
        path.stem,
        data["action"].astype(np.int64),
        data["debug_pos_trans"],
        data["debug_pos_rot"],
        np.rint(velocity),
        data["map_frame_number"].ravel().astype(int),
        data["reward"],
        str(data["debug_maze_layout"]) if "debug_maze_layout" in data else "",
    )


def load_rollout(path: Path) -> Recording:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(path)
    meta = json.loads(table.schema.metadata[b"dmlab"])
    column = {
        name: np.array(table[name].to_pylist())
        for name in ("action", "position", "rotation", "map_frame_number", "reward")
    }
    position = np.repeat(column["position"], 4, 0)
    return Recording(
        path.stem,
        np.repeat(DREAMER15[column["action"].ravel()], 4, 0),
        position,
        np.repeat(column["rotation"], 4, 0),
        np.zeros_like(position),
        np.repeat(column["map_frame_number"].ravel().astype(int), 4, 0),
        np.repeat(column["reward"].ravel(), 4, 0),
        meta["maze"],
        skip=4,
    )


TRACES = sorted(HERE.glob("*.npz"))


def recordings_folder() -> Path:
    """The folder of the recordings; skips the test where there is none."""
    folder = os.environ.get("FLEXLAM_DMLAB_RECORDINGS")
    if not folder:
        pytest.skip("FLEXLAM_DMLAB_RECORDINGS names no folder with recordings of DeepMind Lab")
    return Path(folder)


@kernel
def _play(worlds, actions, pose, velocity):
    """Play single frames; pose (T, 6) and velocity (T, 3) receive the state before each."""
    w = worlds[0]
    p = w.players[0]
    for t in range(actions.shape[0]):
        for k in range(3):
            pose[t, k] = p.pos[k]
            velocity[t, k] = p.vel[k]
        pose[t, 3] = p.pitch
        pose[t, 4] = p.yaw
        w.dt_ms = frame_ms(w)
        land(p)
        move(w, p, actions[t, 0], actions[t, 1], actions[t, 2], actions[t, 3], actions[t, 5], actions[t, 6])


@kernel
def _play_engine(worlds, actions, pose, velocity):
    w = worlds[0]
    p = w.players[0]
    for t in range(actions.shape[0]):
        for k in range(3):
            pose[t, k] = p.pos[k]
            velocity[t, k] = p.vel[k]
        pose[t, 3] = p.pitch
        pose[t, 4] = p.yaw
        engine.advance(worlds, 0, actions[t], 1)


@kernel
def _set_clock(worlds, frames, entities, restarted):
    w = worlds[0]
    start_clock(w, entities)
    for _ in range(frames):
        frame_ms(w)
    if restarted:
        restart_clock(w)


@kernel
def _tick_clock(worlds, frames):
    total = 0
    for _ in range(frames):
        total = frame_ms(worlds[0])
    return total


class Replay:
    """A litelab world set up as a recording's, through the same config keys as users have."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.worlds = np.zeros(1, s.WORLD)

    @property
    def world(self) -> np.void:
        return self.worlds[0]

    def begin(self, t: int = 0) -> None:
        """Begin an episode at rest at the recorded pose of frame t, given by the config keys alone."""
        r = self.recording
        config = {
            "startPosition": " ".join(repr(float(v)) for v in r.position[t]),
            "startAngles": f"{float(r.rotation[t, 0])!r} {float(r.rotation[t, 1])!r}",
        }
        if r.maze:
            config["overrideEntityLayer"] = r.maze
        settings.fill_world(self.world, settings.parse(f"contributed/dmlab30/{r.level}", config, "litelab"))
        for seed in range(200):
            engine.begin(self.worlds, 0, np.uint64(seed))
            if r.level != "rooms_exploit_deferred_effects_train" or self.world["variant"] == self._variant():
                break
        else:
            raise AssertionError("no seed draws the recorded configuration")
        # what lies where is not recorded, so nothing may be picked up or end the map; nor is where the platform hides
        self.world["item_count"] = 0
        self.world["platform"] = (1e6, 1e6)
        self._set_doors(t)

    def _variant(self) -> int:
        east = self.recording.position[:, 0].max() > 336.0
        return deferred.DOOR_OPEN if east else deferred.ONE_ROOM

    def _set_doors(self, t: int) -> None:
        self.world["door_open"] = 0
        first = max((f for f in self.recording.doors if f <= t), default=None)
        for row, col in self.recording.doors.get(first, []) if first is not None else []:
            self.world["door_open"][row, col] = 1

    def seek(self, t: int) -> None:
        """Put the player into the recorded state of frame t, velocity and clocks included."""
        r = self.recording
        self._set_doors(t)
        segment = next(first for first, last in r.segments if first <= t < last)
        entities = 20 if large(r) else 0
        if segment == 0:
            _set_clock(self.worlds, t, entities, False)
        else:
            # the frame of the restart is the one before its segment
            _set_clock(self.worlds, segment - 2, entities, True)
            _tick_clock(self.worlds, t - segment + 1)
        p = self.world["players"][0]
        p["pos"] = r.position[t]
        p["vel"] = r.velocity[t]
        p["pitch"], p["yaw"] = np.rint(r.rotation[t, :2] * TURN)
        p["look_rest"] = 0.0
        before = r.actions[t - 1] if t > segment else np.zeros(7, np.int64)
        p["on_ground"] = r.velocity[t, 2] == 0
        p["crouched"] = before[6] > before[5]
        p["jump_held"] = before[5] > before[6] and before[5] > 0
        p["knockback_ms"] = p["landing_ms"] = 0
        # a hard landing in the last quarter of a second
        for back in range(max(segment, t - 20), t):
            if r.velocity[back, 2] < -LANDING_SPEED and r.velocity[back + 1, 2] >= 0:
                p["landing_ms"] = max(0, LANDING_MS - 16 * (t - back - 1))

    def play(self, first: int, last: int, through_engine: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Play frames first..last; returns position (T, 3), rotation (T, 2) in degrees and velocity before each of
        them.
        """
        actions = self.recording.actions[first:last].copy()
        if self.recording.level == "psychlab_visual_search" and not through_engine:
            actions[:, 2:4] = 0  # the level's rules take these away
        pose = np.zeros((last - first, 5))
        velocity = np.zeros((last - first, 3))
        (_play_engine if through_engine else _play)(self.worlds, actions, pose, velocity)
        return pose[:, :3], pose[:, 3:] / TURN, velocity


def large(recording: Recording) -> bool:
    """Whether the map holds so many things that its episodes begin with the clocks of the second kind."""
    if recording.level in ("explore_object_locations_large", "explore_obstructed_goals_large"):
        return True
    return recording.level.startswith("rooms_exploit") and bool(recording.position[:, 0].max() > 336.0)


def infer_doors(recording: Recording) -> None:
    """Find out which doors stood open, as recordings do not say: those the recorded player passes through.

    The replay runs with all doors closed; where it leaves the recording, the door nearest to the recorded player is
    opened.
    """
    rows = recording.maze.strip("\n").split("\n")
    cells = [(i, j) for i, line in enumerate(rows) for j, letter in enumerate(line) if letter in "HI"]
    if not cells:
        return
    centres = np.array([(j * 100 + 50, (len(rows) - 1 - i) * 100 + 50) for i, j in cells])
    segments = (
        recording.segments if recording.skip == 1 else recording.segments[:1]
    )  # a later one's first state is not known
    for first, last in segments:
        opened: list[tuple[int, int]] = []
        while True:
            recording.doors[first] = opened
            replay = Replay(recording)
            replay.begin(first)
            replay.seek(first)
            position, _, _ = replay.play(first, last)
            off = np.abs(position - recording.position[first:last]).max(1) > NEAR
            off[np.arange(len(off)) % recording.skip != 0] = False
            if not off.any():
                break
            where = recording.position[first + int(np.argmax(off)), :2]
            door = cells[int(np.argmin(np.abs(centres - where).max(1)))]
            assert door not in opened, (
                f"{recording.name} leaves its recording at frame {first + int(np.argmax(off))}, at no closed door"
            )
            opened.append(door)


_CACHE: dict[Path, Recording] = {}


def recording_of(path: Path) -> Recording:
    if path not in _CACHE:
        recording = load_trace(path) if path.suffix == ".npz" else load_rollout(path)
        _CACHE[path] = recording
        infer_doors(recording)
    return _CACHE[path]


@pytest.fixture(params=TRACES, ids=lambda path: path.stem)
def trace(request: pytest.FixtureRequest) -> Recording:
    return recording_of(request.param)


@pytest.fixture(scope="session")
def recordings() -> list[Recording]:
    """All traces."""
    return [recording_of(path) for path in TRACES]


@pytest.fixture(scope="session")
def rollout() -> Callable[[str], Recording]:
    """Loads a rollout by its name, as level-seed."""
    folder = recordings_folder() / "rollouts"
    return lambda name: recording_of(folder / f"{name}.parquet")


@pytest.fixture(scope="session")
def new_replay() -> type[Replay]:
    """The class that replays a recording, as test files cannot import this one."""
    return Replay


@pytest.fixture
def replay(trace: Recording) -> Replay:
    return Replay(trace)
