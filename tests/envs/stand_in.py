"""A stand-in for the module `deepmind_lab`: it replays recordings of the real one, and raises what the real one was
recorded to raise.

Recordings are the rollouts in FLEXLAM_DMLAB_RECORDINGS (frames are the real ones) or else the traces in tests/parity
(which hold no frames: each gets one shade, its frame number). Actions do not matter to what is shown, only the number
of frames played. An episode ends where its recording ends. What would crash the real engine (two at a time, a reset
after close) fails the test.

It also has the real engine's ways that a caller must cope with: the frames that remain are no whole number, what a seed
plays depends on the resets before it, each instance has a temporary folder that only `close` removes, and it prints to
both streams of the process.
"""

import ctypes
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

PARITY = Path(__file__).parents[1] / "parity"
API = json.loads((PARITY / "lab-api.json").read_text())
BEHAVIOUR = API["behaviour"]
_ERRORS = {"RuntimeError": RuntimeError, "ValueError": ValueError, "TypeError": TypeError, "KeyError": KeyError}
_NAMES = [row["name"] for row in API["observation_spec_64x64"]]
PREFIX = "contributed/dmlab30/"


_libc = ctypes.CDLL(None)
ENGINE_TEMPORARY = "dmlab_temp_folder_"


def chatter(text: str) -> None:
    """Print as C code does: to standard output through its own buffer, to standard error at once."""
    _libc.puts(f"engine: {text}".encode())
    os.write(2, f"engine: {text}\n".encode())


def recorded_error(call: str) -> Exception:
    """The exception that the real engine raised at this call."""
    row = BEHAVIOUR[call]
    return _ERRORS[row["raises"]](row["message"])


class Recording:
    """Columns of one recorded episode; row `t` stands for frames `t * stride` onwards."""

    def __init__(self, path: Path) -> None:
        self.frames: list[bytes] | None = None
        if path.suffix == ".npz":
            with np.load(path) as data:
                columns = {name: data[name] for name in data.files}
            self.stride = 1
            self.reward = columns["reward"]
            self.map_frame = columns["map_frame_number"][:, 0]
            self.position, self.rotation = columns["debug_pos_trans"], columns["debug_pos_rot"]
            self.velocity, self.spin = columns["vel_trans"], columns["vel_rot"]
            self.instruction = [str(text) for text in columns["instr"]]
            self.maze = str(columns.get("debug_maze_layout", ""))
        else:
            import pyarrow.parquet as parquet

            table = parquet.read_table(path)
            meta = json.loads(table.schema.metadata[b"dmlab"])
            self.stride = meta["frame_skip"]
            self.frames = [row["bytes"] for row in table["observation"].to_pylist()]
            self.reward = table["reward"].to_numpy()
            self.map_frame = table["map_frame_number"].to_numpy()
            self.position = np.array(table["position"].to_pylist(), np.float64)
            self.rotation = np.array(table["rotation"].to_pylist(), np.float64)
            self.velocity = self.spin = np.zeros((len(self.reward), 3))
            self.instruction = table["instruction"].to_pylist()
            self.maze = meta.get("maze") or ""
        self.length = len(self.reward) * self.stride

    def picture(self, frame: int) -> np.ndarray:
        """(64, 64, 3) uint8."""
        if self.frames is None:
            return np.full((64, 64, 3), frame % 251, np.uint8)
        from PIL import Image

        return np.array(Image.open(io.BytesIO(self.frames[frame // self.stride])).convert("RGB"))


def recordings(level: str) -> list[Path]:
    """Recordings of a level: rollouts if there are any, else traces."""
    folder = os.environ.get("FLEXLAM_DMLAB_RECORDINGS")
    found = sorted((Path(folder) / "rollouts").glob(f"{level}-*.parquet")) if folder else []
    return found or sorted(PARITY.glob(f"{level}-*.npz"))


class Lab:
    """What `deepmind_lab.Lab` was recorded to do. `end_at` (frames) makes episodes end early, as some levels' rules
    do.
    """

    alive: "list[Lab]" = []  # noqa: RUF012
    end_at: int | None = None
    compiled = 0  # maps that no level cache had

    def __init__(
        self,
        level: str,
        observations: list[str],
        config: dict[str, str] = {},  # noqa: B006
        renderer: str = "software",
        level_cache: Any = None,
        temp_folder: str | None = None,
    ) -> None:
        assert not Lab.alive, "the real engine is not re-entrant: two in one process crash"
        if not isinstance(observations, list):
            raise recorded_error("observations as tuple")
        if not all(isinstance(text, str) for pair in config.items() for text in pair):
            raise recorded_error("config int value")
        for key in ("width", "height"):
            if int(config.get(key, "320")) % 4:
                raise RuntimeError(BEHAVIOUR["width 63"]["message"].replace("width", key).replace("63", config[key]))
        self._recordings = recordings(level.removeprefix(PREFIX)) if level.startswith(PREFIX) else []
        if not self._recordings:
            raise RuntimeError(BEHAVIOUR["unknown level"]["message"].replace("nope/nope", level))
        for name in observations:
            if name not in _NAMES:
                raise ValueError(f"Unknown observation '{name}'.")
        self.level, self.config = level, dict(config)
        self._names = list(observations)
        self._size = (int(config.get("height", "240")), int(config.get("width", "320")))
        self._cache = level_cache
        self._status = "new"
        self._frame = self._steps = 0
        self.seeds: list[int | None] = []
        self._own_folder = None if temp_folder else tempfile.mkdtemp(prefix=ENGINE_TEMPORARY)
        folder = Path(temp_folder or str(self._own_folder)) / "baselab"
        folder.mkdir()  # a folder that another instance has used fails here
        (folder / "crashlog.txt").write_text(level)
        chatter(f"loading {level}")
        Lab.alive.append(self)

    def reset(self, episode: int = -1, seed: int | None = None) -> bool:
        assert self._status != "closed", "the real engine crashes at a reset after close"
        if not isinstance(episode, int):
            raise recorded_error("reset(1.5)")
        if seed is not None and not isinstance(seed, int):
            raise ValueError(f"'seed' must be int or None, was '{type(seed).__name__}'.")
        # the resets before this one tell too
        self._recording = Recording(self._recordings[((seed or 0) + len(self.seeds)) % len(self._recordings)])
        self.seeds.append(seed)
        chatter(f"reset {seed}")
        self._status = "running"
        self._frame = self._steps = 0
        if self._cache is not None and self._recording.maze:
            self._load_map(f"maze_noaas_{hash(self._recording.maze) & 0xFFFF:04x}")
        return True

    def _load_map(self, key: str) -> None:
        path = Path(os.environ.get("TMPDIR", "/tmp")) / f"{os.getpid()}-{key}.pk3"
        if not self._cache.fetch(key, str(path)):
            Lab.compiled += 1
            path.write_bytes(b"compiled " + key.encode())
            self._cache.write(key, str(path))
        assert path.read_bytes() == b"compiled " + key.encode()
        path.unlink()

    @property
    def _length(self) -> int:
        return self._recording.length

    def step(self, action: np.ndarray, num_steps: int = 1) -> float:
        if not isinstance(action, np.ndarray):
            raise recorded_error("step list")
        if self._status != "running":
            raise recorded_error("step before reset")
        if action.shape != (7,):
            raise recorded_error("step wrong shape (6,)")
        if action.dtype != np.intc:
            raise recorded_error("step wrong dtype int64")
        chatter("step")
        before = self._frame
        end = min(self._length, self.end_at or self._length)
        self._frame = min(before + max(num_steps, 0), end)
        self._steps += num_steps
        stride = self._recording.stride
        reward = self._recording.reward[-(-before // stride) : -(-self._frame // stride)].sum()
        if self._frame >= end:
            self._status = "ended"
        return float(reward)

    def observations(self) -> dict[str, Any]:
        if self._status != "running":
            raise recorded_error("observations() before reset")
        return {name: self._observation(name) for name in self._names}

    def _observation(self, name: str) -> Any:
        recording, frame = self._recording, self._frame
        row = min(frame // recording.stride, len(recording.reward) - 1)
        if name in ("RGB_INTERLEAVED", "RGB"):
            height, width = self._size
            picture = recording.picture(frame)[np.arange(height) * 64 // height][:, np.arange(width) * 64 // width]
            return np.ascontiguousarray(picture if name == "RGB_INTERLEAVED" else picture.transpose(2, 0, 1))
        values = {
            "MAP_FRAME_NUMBER": [recording.map_frame[row] + frame % recording.stride],
            "FRAMES_REMAINING_AT_60": [
                (self._length / 60 - frame / 60) * 60
            ],  # counted in seconds: 5259.999999 for 5260
            "DEBUG.POS.TRANS": recording.position[row],
            "DEBUG.POS.ROT": recording.rotation[row],
            "VEL.TRANS": recording.velocity[row],
            "VEL.ROT": recording.spin[row],
            "TEAM.SCORE": [0.0, 0.0],
        }
        if name in values:
            return np.array(values[name], np.float64)
        texts = {"INSTR": recording.instruction[row], "DEBUG.MAZE.LAYOUT": recording.maze}
        if name in texts:
            return texts[name]
        raise NotImplementedError(f"{name} was not recorded")

    def events(self) -> list[Any]:
        if self._status not in ("running", "ended"):
            raise RuntimeError("Environment in wrong status for call to events()")
        return []

    def is_running(self) -> bool:
        return self._status == "running"

    def num_steps(self) -> int:
        return self._steps

    def action_spec(self) -> list[dict[str, Any]]:
        return [dict(row) for row in API["action_spec"]]

    def close(self) -> bool:
        if self in Lab.alive:
            Lab.alive.remove(self)
        was_open = self._status != "closed"
        self._status = "closed"
        chatter("close")
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)
        return was_open


def install(monkeypatch: pytest.MonkeyPatch, folder: Path | None = None) -> ModuleType:
    """Make `import deepmind_lab` give the stand-in, for one test; with a folder to write in, also in processes that are
    started.
    """
    module = ModuleType("deepmind_lab")
    module.Lab = Lab  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "deepmind_lab", module)
    monkeypatch.setattr(Lab, "alive", [])
    monkeypatch.setattr(Lab, "compiled", 0)
    if folder is not None:
        text = f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\nfrom stand_in import Lab\n"
        (folder / "deepmind_lab.py").write_text(text)
        monkeypatch.syspath_prepend(str(folder))
    return module


def left_behind(folder: Path) -> list[str]:
    """Temporary folders of engines in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith((ENGINE_TEMPORARY, "flexlam-dmlab-")))
