"""`EnvSpec`: the one record of how an environment is shown and controlled.

Collections, checkpoints, policies and suites all hold this record, so that one function says whether two of them fit
together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf, isfinite
from operator import index
from typing import Any

_WORDS = {"action_set": "action set", "action_hash": "action hash", "frame_skip": "frame skip", "hud": "overlay"}


_LATER = {"later": True}  # files from before these fields lack them


@dataclass(frozen=True)
class ActionSpec:
    """What an action consists of, and the Gymnasium space that it is of.

    Models see discrete dimensions counted from 0, and continuous ones in [-1, 1]; `flexlam_rl.envs.action_values` turns
    these into the environment's own actions and back.

    Attributes:
        discrete: Number of choices of each discrete dimension.
        continuous: Number of continuous dimensions.
        name, hash: Of the action set.
        space: Gymnasium's name of the space: "Discrete", "MultiDiscrete", "MultiBinary" or "Box". "" for the plainest
            that fits: choices from 0, or numbers in [-1, 1].
        shape: Of one action of the environment, () for a single number.
        dtype: Of the environment's actions ("float32").
        start: Lowest value of each discrete dimension; empty for 0 in all.
        low, high: Bounds of each continuous dimension, infinite where there is none; empty for -1 and 1 in all.
    """

    discrete: tuple[int, ...]
    continuous: int = 0
    name: str = ""
    hash: str = ""
    space: str = field(default="", metadata=_LATER)
    shape: tuple[int, ...] = field(default=(), metadata=_LATER)
    dtype: str = field(default="", metadata=_LATER)
    start: tuple[int, ...] = field(default=(), metadata=_LATER)
    low: tuple[float, ...] = field(default=(), metadata=_LATER)
    high: tuple[float, ...] = field(default=(), metadata=_LATER)

    def __post_init__(self) -> None:
        """Keep NumPy's numbers as Python's.

        Raises:
            ValueError: There is not one start or bound for each dimension, or a lower bound is not below the upper one.
        """
        for name in ("discrete", "shape", "start"):
            object.__setattr__(self, name, tuple(index(number) for number in getattr(self, name)))
        object.__setattr__(self, "continuous", index(self.continuous))
        for name in ("low", "high"):
            object.__setattr__(self, name, tuple(float(number) for number in getattr(self, name)))
        for name, wanted in (("start", len(self.discrete)), ("low", self.continuous), ("high", self.continuous)):
            if len(getattr(self, name)) not in (0, wanted):
                raise ValueError(
                    f"{name} of an action is {getattr(self, name)}; expected {wanted} numbers, one for each dimension, "
                    "or none."
                )
        for low, high in zip(self.low, self.high, strict=True):
            if not low < high:
                raise ValueError(f"An action has the bounds {low:g} and {high:g}; expected the first below the second.")

    @property
    def dims(self) -> int:
        """Number of dimensions, discrete and continuous."""
        return len(self.discrete) + self.continuous

    @property
    def is_single(self) -> bool:
        """Whether an action is one choice, which is kept and given as a bare number."""
        return self.dims == len(self.discrete) == 1 and self.shape == ()

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; a bound that is none becomes null."""
        bounds = {
            name: [number if isfinite(number) else None for number in getattr(self, name)] for name in ("low", "high")
        }
        lists = {name: list(getattr(self, name)) for name in ("discrete", "shape", "start")}
        return {f.name: getattr(self, f.name) for f in fields(self)} | lists | bounds

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ActionSpec":
        """The record that `to_json` wrote."""
        none = {"low": -inf, "high": inf}
        bounds = {
            name: tuple(value if number is None else number for number in record.get(name, ()))
            for name, value in none.items()
        }
        return cls(**{**record, **bounds})


@dataclass(frozen=True)
class EnvSpec:
    """How the tasks of a domain are shown and controlled.

    Attributes:
        domain: Name of the world ("dmlab"), as registered in `flexlam_rl.envs.domain`.
        engine: What simulates it ("litelab", "deepmind_lab"), never "auto": scores of engines are never mixed.
        action_set, action_hash: Name and hash of the actions.
        frame_skip: Simulator frames that one agent step plays.
        width, height: Of a frame in pixels.
        look: How the world is drawn, as (name, value) pairs; DMLab has `textures` and `hud`.
    """

    domain: str = "dmlab"
    engine: str = "litelab"
    action_set: str = "dreamer15"
    action_hash: str = ""
    frame_skip: int = 4
    width: int = 64
    height: int = 64
    look: tuple[tuple[str, str], ...] = (("hud", "full"), ("textures", "procedural"))

    def __post_init__(self) -> None:
        pairs = self.look.items() if isinstance(self.look, Mapping) else self.look
        object.__setattr__(self, "look", tuple(sorted((str(name), str(value)) for name, value in pairs)))

    @property
    def textures(self) -> str:
        """Look of the surfaces, "" in a domain that has one look."""
        return dict(self.look).get("textures", "")

    @property
    def hud(self) -> str:
        """What is drawn over the view, "" in a domain without overlays."""
        return dict(self.look).get("hud", "")

    def with_look(self, **look: str) -> "EnvSpec":
        """The same record with some of its look changed."""
        return replace(self, look=tuple({**dict(self.look), **look}.items()))

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"look": dict(self.look)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "EnvSpec":
        """The record that `to_json` wrote.

        Raises:
            ValueError: It has a field that no record has.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(record) - known):
            raise ValueError(
                f"An environment record has the unknown field {unknown[0]!r}: expected {', '.join(sorted(known))}."
            )
        return cls(**record)

    def differences(self, other: "EnvSpec", ignore: Iterable[str] = ()) -> list[str]:
        """Say what differs, one phrase per field: "frame skip 4 and 8".

        Args:
            other: The record to compare with.
            ignore: Fields and looks that may differ ("engine", "textures").
        """
        skip = set(ignore)
        mine, theirs = self._values(), other._values()
        return [
            f"{_WORDS.get(name, name)} {mine.get(name)!r} and {theirs.get(name)!r}"
            for name in dict.fromkeys((*mine, *theirs))
            if name not in skip and mine.get(name) != theirs.get(name)
        ]

    def _values(self) -> dict[str, Any]:
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("look", "width", "height")}
        return {**plain, "frame size": f"{self.width}x{self.height}", **dict(self.look)}
