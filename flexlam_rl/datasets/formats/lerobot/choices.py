"""Values that options of imports and exports take."""

from typing import Literal

Frames = Literal["video", "image"]
LastFrames = Literal["drop", "row"]
Rule = Literal["episodes", "train", "test"]
