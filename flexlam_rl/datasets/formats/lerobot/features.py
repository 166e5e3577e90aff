"""Conversion of a store's columns to features of a LeRobot dataset."""

from typing import Any

import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.lerobot import layout, stats
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.envs.action_values import own_actions

VIEW = "observation.images.view"


class Columns:
    """The features that an export writes per episode.

    Args:
        store: Store to export.
        frames: "video" or "image".

    Attributes:
        cameras: Features with pictures: first the store's `frames`, then its extra columns of pictures.
        names: Maps the store's extra columns to features.

    Raises:
        ValueError: LeRobot's format cannot hold the frames or a column, or only some episodes have actions.
    """

    def __init__(self, store: RolloutStore, frames: str) -> None:
        self.store, self.frames = store, frames
        extra = {name: (dtype, tuple(row)) for name, (dtype, row) in store.attributes["extra"].items()}
        self.names = {name: name for name in extra}
        cameras = [name for name, (dtype, row) in extra.items() if dtype == "uint8" and len(row) == 3]
        for name in cameras:
            self.names[name] = name if name.startswith("observation.") else f"observation.images.{name}"
        self._sizes = {VIEW: store.frames.row} | {self.names[name]: extra[name][1] for name in cameras}
        self._source = {VIEW: ""} | {self.names[name]: name for name in cameras}
        self.cameras = list(self._sizes)
        self._numbers = {name: kind for name, kind in extra.items() if name not in cameras}
        self._check()

    def _check(self) -> None:
        store = self.store
        for key, (height, width, channels) in self._sizes.items():
            most = (3,) if self.frames == "video" else (1, 3)
            if channels not in most:
                raise ValueError(
                    f"{key} of {store.path} has {channels} channels: expected 3, or with --frames image 1 or 3."
                )
            if self.frames == "video" and (height % 2 or width % 2):
                raise ValueError(
                    f"{key} of {store.path} has frames of {width}x{height}: videos need even sizes; --frames image "
                    "accepts any."
                )
        taken = {*layout.COUNTED, layout.ACTION, layout.REWARD, layout.DONE, VIEW}
        for name, feature in self.names.items():
            if "/" in feature or feature in taken or feature.startswith(f"{layout.OURS}."):
                raise ValueError(
                    f"The extra column {name!r} of {store.path} has a name that LeRobot's format cannot hold: expected "
                    f"one without '/' that is not taken."
                )
        if store.with_actions and not store.acted[store.episode_table["start"]].all():
            silent = int(store.acted[store.episode_table["start"]].argmin())
            raise ValueError(
                f"Episode {silent} of {store.path} is video without actions: LeRobot needs them in every episode."
            )

    def of(self, one: Episode, rows: int) -> dict[str, np.ndarray]:
        """Compute the numeric features of an episode, `rows` rows each; rows without an action get 0."""
        made: dict[str, np.ndarray] = {}
        restart = np.zeros(one.rows, bool) if one.restart is None else one.restart
        if self.store.with_actions:
            actions, native = self._actions(one)
            ends = np.zeros((2, rows), bool)
            ends[:, one.length - 1] = one.terminated, one.truncated
            made |= {layout.ACTION: _longer(actions, rows), layout.REWARD: _longer(one.reward, rows)}
            made |= {layout.DONE: ends[0] | ends[1], layout.TERMINATED: ends[0], layout.TRUNCATED: ends[1]}
            made |= {layout.LAST: np.arange(rows) >= one.length}
            if native is not None:
                made[layout.NATIVE] = _longer(native, rows)
        made[layout.RESTART] = restart[:rows]
        for name in self._numbers:
            values = one.extra[name][:rows]
            made[self.names[name]] = values.reshape(rows, -1) if values.ndim > 2 else values
        return made

    def _actions(self, one: Episode) -> tuple[np.ndarray, np.ndarray | None]:
        """Compute the actions in their environment's form, flattened, and DeepMind Lab's native ones if they differ."""
        spec = self.store.actions
        if spec is not None and one.action is not None:
            own = own_actions(one.action, spec)
            own = own.reshape(one.length, -1) if own.ndim > 1 else own
            return own if own.dtype.kind == "f" else own.astype(np.int64), None
        assert one.action_native is not None
        native = one.action_native.astype(np.int64)
        return (native, None) if one.action is None else (one.action.astype(np.int64), native)

    def pictures(self, one: Episode, camera: str) -> np.ndarray:
        """Find the pictures of a camera, (R, H, W, C)."""
        return one.frames if camera == VIEW else one.extra[self._source[camera]]

    def stats(self, one: Episode, rows: int, values: dict[str, np.ndarray]) -> dict[str, stats.Stats]:
        """Compute the statistics of an episode's features."""
        pictures = {key: stats.of_pictures(self.pictures(one, key)[:rows]) for key in self.cameras}
        return pictures | {name: stats.of_numbers(array) for name, array in values.items()}

    def features(self, fps: float) -> dict[str, Any]:
        """Describe all features in the form of info.json."""
        made: dict[str, Any] = {}
        for key, size in self._sizes.items():
            made[key] = {"dtype": self.frames, "shape": list(size), "names": ["height", "width", "channels"]}
            if self.frames == "video":
                made[key]["info"] = {
                    "video.height": size[0],
                    "video.width": size[1],
                    "video.channels": size[2],
                    "video.codec": "h264",
                    "video.pix_fmt": "yuv420p",
                    "video.fps": round(fps) if fps == round(fps) else fps,
                    "video.is_depth_map": False,
                    "has_audio": False,
                }
        one = self.store.episode_at(0)
        for name, array in self.of(one, one.length if self.store.with_actions else one.rows).items():
            shape = list(array.shape[1:]) or [1]
            made[name] = {"dtype": array.dtype.name, "shape": shape, "names": None}
        return made | {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in layout.COUNTED.items()}


def _longer(values: np.ndarray | None, rows: int) -> np.ndarray:
    """Append rows of 0, up to `rows`."""
    assert values is not None
    return np.concatenate([values, np.zeros((rows - len(values), *values.shape[1:]), values.dtype)])
