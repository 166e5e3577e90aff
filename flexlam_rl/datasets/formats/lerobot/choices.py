"""Allowed values of options of LeRobot imports and exports."""

from typing import Literal

Frames = Literal["video", "image"]
LastFrames = Literal["drop", "row"]
Rule = Literal["episodes", "train", "test"]
