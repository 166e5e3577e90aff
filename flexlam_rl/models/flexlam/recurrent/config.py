"""Sizes of the recurrent prior."""

from dataclasses import dataclass, field
from typing import ClassVar

from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.small_vision import check_size
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class RecurrentConfig(Plain):
    """Convolutions on a frame, a GRU over frames and past blocks, and a small transformer over the codes."""

    slots: int = 64
    codes: int = 1000
    image_size: int = 64
    channels: int = 3
    frames: int = 64
    """Frames of a training window; in play, the past is the whole episode."""
    first: int = 32
    """Channels of the first convolution; the others have twice as many."""
    features: int = 512
    """Numbers that a frame becomes."""
    memory: int = 512
    """Width of the GRU."""
    width: int = 256
    """Width of the head over the codes, and of a past block."""
    ffn: int = 1024
    heads: int = 4
    code_width: int = 32
    """Numbers per embedded code of a past block; all codes of a block become one vector."""
    head_depth: int = 2
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6

    image_width: int | None = field(default=None, metadata={"later": True})
    """Width of the frames, if it differs from `image_size`, their height."""

    stride: ClassVar[int] = 1
    """Every frame counts."""

    def __post_init__(self) -> None:
        """Refuse frames that are too small for the convolutions.

        Raises:
            ValueError: The frames are too small.
        """
        check_size(*frame_size(self))


SIZES: dict[str, RecurrentConfig] = {
    "paper": RecurrentConfig(),
    "small": RecurrentConfig(),
    "tiny": RecurrentConfig(slots=16, first=16, features=256, memory=256, width=128, ffn=384),
    "debug": RecurrentConfig(
        slots=4, frames=6, first=4, features=16, memory=16, width=32, ffn=64, heads=2, code_width=8, head_depth=1
    ),
}
"""Sizes by preset."""
SIZES["study"] = SIZES["tiny"]
