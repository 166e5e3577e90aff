"""`PROTOCOLS`: published data sets that a collection makes anew, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flexlam_rl.agents.recorders import Further

DEPTH = Further("depth", "RGBD_INTERLEAVED", "uint8", (64, 64), channel=3)
"""Distance of each pixel as DeepMind Lab gives it: 255 stands for 4096 world units or more."""
POSITION = Further("position", "DEBUG.POS.TRANS", "float64", (3,))
"""Position of the player: east, north, up, in world units."""
ROTATION = Further("rotation", "DEBUG.POS.ROT", "float64", (3,))
"""Direction in which the player looks: pitch (down is positive), yaw (from east to north), roll, in degrees."""


@dataclass(frozen=True)
class Protocol:
    """How a data set is played and recorded.

    Attributes:
        about: Description in one line.
        task: Name of the task.
        expert: Name of the expert that plays.
        options: Options of the environment, named as on the command line.
        further: Columns that are recorded besides frames, actions and rewards.
        last: Whether the observation after an episode's last action is recorded.
    """

    about: str
    task: str
    expert: str
    options: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[Further, ...] = ()
    last: bool = True


PROTOCOLS: dict[str, Protocol] = {
    "dmlab-40k": Protocol(
        "TECO's walks through random mazes (dissertation, appendix B.13): 300 frames of 64x64, pose and depth",
        "maze_quadrants",
        "wanderer",
        {"action_set": "teco3", "frame_skip": 5, "width": 64, "height": 64, "hud": "none"},
        (DEPTH, POSITION, ROTATION),
        last=False,
    )
}
