"""Resizing of imported frames to a given size."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

Fit = Literal["crop", "pad", "stretch"]
LARGEST = 4096  # pixels per side


@dataclass(frozen=True)
class Resize:
    """Resizes frames to one size, averaging over pixels when they get smaller.

    Attributes:
        width, height: Size of the result in pixels.
        fit: How to change the aspect ratio: "crop" keeps the middle, "pad" adds black bars, "stretch" distorts.
    """

    width: int
    height: int
    fit: Fit = "crop"

    @classmethod
    def parse(cls, text: str, fit: Fit = "crop") -> "Resize":
        """Parse a size: "128x96" is 128 wide and 96 high, "64" is 64x64.

        Raises:
            ValueError: The text is not a size.
        """
        parts = text.lower().replace("×", "x").split("x")
        if len(parts) not in (1, 2) or not all(part.isdecimal() and 1 <= int(part) <= LARGEST for part in parts):
            raise ValueError(
                f"The size is {text!r}: expected WIDTHxHEIGHT or one number for both, each from 1 to {LARGEST}."
            )
        return cls(int(parts[0]), int(parts[-1]), fit)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Resize a frame (H, W, 3); a frame of the right size is returned as it is."""
        height, width = frame.shape[:2]
        if (width, height) == (self.width, self.height):
            return frame
        picture, size = Image.fromarray(frame), (self.width, self.height)
        scales = (self.width / width, self.height / height)
        box = (0.0, 0.0, float(width), float(height))
        if self.fit == "crop":
            kept = [side / max(scales) for side in size]
            left, top = (width - kept[0]) / 2, (height - kept[1]) / 2
            box = (max(0.0, left), max(0.0, top), min(width, left + kept[0]), min(height, top + kept[1]))
        if self.fit == "pad":
            size = (max(1, round(width * min(scales))), max(1, round(height * min(scales))))
        small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, box))
        if self.fit != "pad":
            return small
        canvas = np.zeros((self.height, self.width, 3), np.uint8)
        top, left = (self.height - size[1]) // 2, (self.width - size[0]) // 2
        canvas[top : top + size[1], left : left + size[0]] = small
        return canvas
