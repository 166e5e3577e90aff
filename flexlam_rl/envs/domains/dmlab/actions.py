"""Named action sets over DMLab's seven native actions, each with a stable hash.

The native actions, in order (reference A2), are look right and look down in pixels per frame (-512..512), strafe right
and move forward (-1..1), fire, jump and crouch (0..1). The action sets are:

- `dreamer15`: used by DreamerV3, PopArt and R2D2, and in the recorded rollouts;
- `impala9`: used by IMPALA;
- `teco3`: used by TECO's DMLab-40k dataset;
- `native7`: the seven native actions themselves.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces

NATIVE_NAMES = (
    "LOOK_LEFT_RIGHT_PIXELS_PER_FRAME",
    "LOOK_DOWN_UP_PIXELS_PER_FRAME",
    "STRAFE_LEFT_RIGHT",
    "MOVE_BACK_FORWARD",
    "FIRE",
    "JUMP",
    "CROUCH",
)
NATIVE_LOW = (-512, -512, -1, -1, 0, 0, 0)
NATIVE_HIGH = (512, 512, 1, 1, 1, 1, 1)


def is_native(space: spaces.Space[Any]) -> bool:
    """Whether a space is the one of the seven native actions."""
    return (
        isinstance(space, spaces.Box)
        and space.dtype.kind in "iu"
        and space.shape == (7,)
        and bool((space.low == NATIVE_LOW).all() and (space.high == NATIVE_HIGH).all())
    )


@dataclass(frozen=True)
class ActionSet:
    """An action set: a table of native actions, or the native actions themselves if the table is empty.

    Attributes:
        name: Name of the set, as `action_set=` takes it.
        labels: A short name per action, for people.
        rows: (n, 7) native actions; empty for `native7`.
    """

    name: str
    labels: tuple[str, ...] = field(compare=False)
    rows: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            whole = all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in row)
            if (
                len(row) != 7
                or not whole
                or any(not low <= v <= high for v, low, high in zip(row, NATIVE_LOW, NATIVE_HIGH, strict=True))
            ):
                raise ValueError(
                    f"rows of an action set must be 7 integers from {list(NATIVE_LOW)} to {list(NATIVE_HIGH)}, got "
                    f"{row!r}."
                )
        # tuples of Python integers, which callers cannot change afterwards
        object.__setattr__(self, "rows", tuple(tuple(int(value) for value in row) for row in self.rows))
        object.__setattr__(self, "labels", tuple(self.labels))

    def __reduce__(self) -> tuple[Any, ...]:
        return ActionSet, (self.name, self.labels, self.rows)  # copying the cached table would make it writable

    @property
    def is_discrete(self) -> bool:
        """Whether actions are row numbers; if False, they are native actions."""
        return bool(self.rows)

    def __len__(self) -> int:
        """Number of discrete actions; 0 for `native7`."""
        return len(self.rows)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (64 hex digits) of what the actions do, as canonical JSON; the set's name and labels are left out."""
        content = {"native": NATIVE_NAMES, "low": NATIVE_LOW, "high": NATIVE_HIGH, "rows": self.rows}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def table(self) -> np.ndarray:
        """Native action of each discrete action, (n, 7) intc, read-only."""
        table = np.array(self.rows, dtype=np.intc).reshape(-1, 7)
        table.flags.writeable = False
        return table

    def space(self) -> spaces.Space:
        """Make a Gymnasium space: `Discrete(n)`, or an int32 `Box` of shape (7,)."""
        if self.rows:
            return spaces.Discrete(len(self.rows))
        return spaces.Box(np.array(NATIVE_LOW, np.int32), np.array(NATIVE_HIGH, np.int32), dtype=np.int32)


_MOVES: dict[str, tuple[int, ...]] = {
    "forward": (0, 0, 0, 1, 0, 0, 0),
    "backward": (0, 0, 0, -1, 0, 0, 0),
    "strafe left": (0, 0, -1, 0, 0, 0, 0),
    "strafe right": (0, 0, 1, 0, 0, 0, 0),
    "fire": (0, 0, 0, 0, 1, 0, 0),
}


def _look(right: int = 0, down: int = 0, forward: int = 0) -> tuple[int, ...]:
    return (right, down, 0, forward, 0, 0, 0)


def _named(name: str, **rows: tuple[int, ...]) -> ActionSet:
    return ActionSet(name, tuple(label.replace("_", " ") for label in rows), tuple(rows.values()))


ACTION_SETS: dict[str, ActionSet] = {
    s.name: s
    for s in (
        _named(
            "dreamer15",
            forward=_MOVES["forward"],
            backward=_MOVES["backward"],
            strafe_left=_MOVES["strafe left"],
            strafe_right=_MOVES["strafe right"],
            look_left=_look(-10),
            look_right=_look(10),
            turn_left=_look(-60),
            turn_right=_look(60),
            look_down=_look(down=10),
            look_up=_look(down=-10),
            forward_look_left=_look(-10, forward=1),
            forward_look_right=_look(10, forward=1),
            forward_turn_left=_look(-60, forward=1),
            forward_turn_right=_look(60, forward=1),
            fire=_MOVES["fire"],
        ),
        _named(
            "impala9",
            forward=_MOVES["forward"],
            backward=_MOVES["backward"],
            strafe_left=_MOVES["strafe left"],
            strafe_right=_MOVES["strafe right"],
            look_left=_look(-20),
            look_right=_look(20),
            forward_look_left=_look(-20, forward=1),
            forward_look_right=_look(20, forward=1),
            fire=_MOVES["fire"],
        ),
        # turns of 20 degrees over five frames; the nearest that whole pixels give is 20.06
        _named("teco3", turn_left=_look(-38), turn_right=_look(38), forward=_MOVES["forward"]),
        ActionSet("native7", NATIVE_NAMES, ()),
    )
}


def action_set(name: str | ActionSet) -> ActionSet:
    """Find an action set by name; an `ActionSet` is returned as it is.

    Raises:
        ValueError: There is no set of that name.
    """
    if isinstance(name, ActionSet):
        return name
    try:
        return ACTION_SETS[name]
    except (KeyError, TypeError):
        raise ValueError(f"Unknown action set {name!r}: expected one of {', '.join(ACTION_SETS)}.") from None
