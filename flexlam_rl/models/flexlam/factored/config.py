"""Sizes of the factored prior."""

from dataclasses import dataclass, field
from typing import ClassVar

from flexlam_rl.nn.patch_embed import frame_size, patch_count
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class FactoredConfig(Plain):
    """A transformer over time, with one to four tokens per frame and one per past block, and a head over the codes."""

    slots: int = 64
    codes: int = 1000
    image_size: int = 64
    channels: int = 3
    patch: int = 32
    """Pixels along a side of the patch that convolutions turn into one token."""
    frames: int = 128
    """Frames that a decision sees, including the newest."""
    width: int = 256
    ffn: int = 1024
    depth: int = 8
    heads: int = 4
    code_width: int = 32
    """Numbers per embedded code of a past block; all codes of a block make one token."""
    head_depth: int = 2
    """Layers of the head, which is as wide as the transformer."""
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6

    image_width: int | None = field(default=None, metadata={"later": True})
    """Width of the frames, if it differs from `image_size`, their height."""

    stride: ClassVar[int] = 1
    """Every frame stays in the context."""

    @property
    def patches(self) -> int:
        """N, the tokens of one frame."""
        return patch_count(frame_size(self), self.patch, "factored prior")


SIZES: dict[str, FactoredConfig] = {
    "paper": FactoredConfig(),
    "small": FactoredConfig(depth=6),
    "tiny": FactoredConfig(slots=16, frames=64, width=128, ffn=384, depth=2),
    "debug": FactoredConfig(slots=4, frames=6, width=32, ffn=64, depth=2, heads=2, code_width=8, head_depth=1),
}
"""Sizes by preset."""
SIZES["study"] = SIZES["tiny"]
