"""`EnvSpec`, the record of how an environment is shown and controlled, and `ActionSpec`, the description of actions.

Datasets, checkpoints, policies and suites all hold an `EnvSpec`, so that `EnvSpec.differences` tells whether two of
them fit together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf, isfinite
from operator import index
from typing import Any

_WORDS = {"action_set": "action set", "action_hash": "action hash", "frame_skip": "frame skip", "hud": "overlay"}


_LATER = {"later": True}  # files written before these fields existed lack them


@dataclass(frozen=True)
class ActionSpec:
    """Description of an action and its Gymnasium space.

    Models see discrete dimensions as choices counted from 0, and continuous ones in [-1, 1];
    `flexlam_rl.envs.action_values` converts them to the environment's own actions and back.

    Attributes:
        discrete: Number of choices per discrete dimension.
        continuous: Number of continuous dimensions.
        name, hash: Name and hash of the action set.
        space: Gymnasium's name of the space: "Discrete", "MultiDiscrete", "MultiBinary" or "Box". "" stands for the
            simplest space that fits: choices from 0, or numbers in [-1, 1].
        shape: Shape of one action of the environment; () for a single number.
        dtype: Type of the environment's actions ("float32").
        start: Lowest value of each discrete dimension; empty if all are 0.
        low, high: Bounds of each continuous dimension, infinite for no bound; empty if all are -1 and 1.
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
        """Convert NumPy's numbers to Python's and check the bounds.

        Raises:
            ValueError: There is not one start or bound per dimension, or a lower bound is not below its upper bound.
        """
        for name in ("discrete", "shape", "start"):
            object.__setattr__(self, name, tuple(index(number) for number in getattr(self, name)))
        object.__setattr__(self, "continuous", index(self.continuous))
        for name in ("low", "high"):
            object.__setattr__(self, name, tuple(float(number) for number in getattr(self, name)))
        for name, wanted in (("start", len(self.discrete)), ("low", self.continuous), ("high", self.continuous)):
            if len(getattr(self, name)) not in (0, wanted):
                raise ValueError(
                    f"{name} of an action is {getattr(self, name)}; expected {wanted} numbers, one per dimension, or "
                    "none."
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
        """Whether an action is a single choice, which is stored and passed as a bare number."""
        return self.dims == len(self.discrete) == 1 and self.shape == ()

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values; infinite bounds become null."""
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
        domain: Name of the domain ("dmlab"), as registered in `flexlam_rl.envs.domain`.
        engine: Name of the simulator ("litelab", "deepmind_lab"). It is never "auto" in a resolved record, because
            scores of different engines are never mixed.
        action_set, action_hash: Name and hash of the action set.
        frame_skip: Simulator frames per agent step.
        width, height: Size of a frame in pixels.
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
        """Look of the surfaces; "" in a domain without this choice."""
        return dict(self.look).get("textures", "")

    @property
    def hud(self) -> str:
        """Overlay on the view; "" in a domain without this choice."""
        return dict(self.look).get("hud", "")

    def with_look(self, **look: str) -> "EnvSpec":
        """Copy the record with parts of its look changed."""
        return replace(self, look=tuple({**dict(self.look), **look}.items()))

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"look": dict(self.look)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "EnvSpec":
        """Make the record from the result of `to_json`.

        Raises:
            ValueError: There is an unknown field.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(record) - known):
            raise ValueError(
                f"An environment record has the unknown field {unknown[0]!r}: expected {', '.join(sorted(known))}."
            )
        return cls(**record)

    def differences(self, other: "EnvSpec", ignore: Iterable[str] = ()) -> list[str]:
        """List the differences between two records, one phrase per field ("frame skip 4 and 8"); empty if they fit.

        Args:
            other: The record to compare with.
            ignore: Names of fields, or of parts of the look, that may differ ("engine", "textures").
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
