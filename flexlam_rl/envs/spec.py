"""`EnvSpec`: the one record of how an environment is shown and controlled.

Collections, checkpoints, policies and suites all hold this record, so that one function says whether two of them fit
together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from operator import index
from typing import Any

_WORDS = {"action_set": "action set", "action_hash": "action hash", "frame_skip": "frame skip", "hud": "overlay"}


@dataclass(frozen=True)
class ActionSpec:
    """What an action consists of.

    Attributes:
        discrete: Number of choices of each discrete dimension.
        continuous: Number of continuous dimensions, each in [-1, 1].
        name, hash: Of the action set.
    """

    discrete: tuple[int, ...]
    continuous: int = 0
    name: str = ""
    hash: str = ""

    def __post_init__(self) -> None:
        """Keep NumPy's whole numbers as Python's."""
        object.__setattr__(self, "discrete", tuple(index(choices) for choices in self.discrete))
        object.__setattr__(self, "continuous", index(self.continuous))


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
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"look": dict(self.look)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "EnvSpec":
        """The record that `to_json` wrote.

        Raises:
            ValueError: It has a field that no record has.
        """
        known = {field.name for field in fields(cls)}
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
        plain = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("look", "width", "height")
        }
        return {**plain, "frame size": f"{self.width}x{self.height}", **dict(self.look)}
