"""The action set of ViZDoom: single buttons, or pairs of them, that are held for one step.

All tasks share this set, so that an action changes the view in the same way in each of them. The scenarios' own files
allow fewer buttons (`basic`: left, right and attack), so returns cannot be compared with those of papers that use them.
"""

import hashlib
import json

from gymnasium import spaces

from flexlam_rl.envs.spec import ActionSpec

NAME = "doom12"
BUTTONS = ("MOVE_FORWARD", "MOVE_BACKWARD", "MOVE_LEFT", "MOVE_RIGHT", "TURN_LEFT", "TURN_RIGHT", "ATTACK")

_HELD: dict[str, tuple[str, ...]] = {
    "noop": (),
    "forward": ("MOVE_FORWARD",),
    "backward": ("MOVE_BACKWARD",),
    "left": ("MOVE_LEFT",),
    "right": ("MOVE_RIGHT",),
    "turn left": ("TURN_LEFT",),
    "turn right": ("TURN_RIGHT",),
    "attack": ("ATTACK",),
    "forward and turn left": ("MOVE_FORWARD", "TURN_LEFT"),
    "forward and turn right": ("MOVE_FORWARD", "TURN_RIGHT"),
    "left and attack": ("MOVE_LEFT", "ATTACK"),
    "right and attack": ("MOVE_RIGHT", "ATTACK"),
}
LABELS = tuple(_HELD)
"""Name of each action, in words."""
ROWS: tuple[tuple[bool, ...], ...] = tuple(tuple(button in held for button in BUTTONS) for held in _HELD.values())
"""Whether each action holds each of `BUTTONS`."""

_CONTENT = {"buttons": BUTTONS, "rows": [list(map(int, row)) for row in ROWS]}
_JSON = json.dumps(_CONTENT, sort_keys=True, separators=(",", ":"))
SPEC = ActionSpec((len(ROWS),), 0, NAME, hashlib.sha256(_JSON.encode()).hexdigest())


def action_space() -> spaces.Discrete:
    """Make the space of actions; an action is an index into `LABELS`."""
    return spaces.Discrete(len(ROWS))
