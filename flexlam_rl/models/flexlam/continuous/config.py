"""Sizes of the continuous prior."""

from dataclasses import dataclass, replace
from typing import ClassVar

from flexlam_rl.models.flexlam.factored.config import SIZES as FACTORED
from flexlam_rl.nn.density_heads import HeadName
from flexlam_rl.nn.patch_embed import frame_size, patch_count
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class ContinuousConfig(Plain):
    """The factored prior's transformer over time, with a head over slot vectors."""

    slots: int = 64
    dim: int = 4
    """Numbers per slot."""
    codes: int | None = 1000
    """V: generated vectors are rounded to the nearest of so many code vectors. None: latent actions are vectors."""
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
    slot_width: int = 32
    """Numbers per embedded slot of a past block."""
    head: HeadName = "flow"
    head_width: int = 192
    head_blocks: int = 3
    """Residual blocks of the flow head."""
    components: int = 3
    """Components of the mixture head."""
    entropy: float = 0.01
    """Weight of the entropy of the mixture's weights in the loss."""
    steps: int = 8
    """Steps of the flow head per decision."""
    noise: float = 0.5
    """Largest standard deviation of the noise on past blocks in training; the model is not told the deviation. 0 for
    none.
    """
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    image_width: int | None = None
    """Width of the frames, if it differs from `image_size`, their height."""

    stride: ClassVar[int] = 1
    """Every frame stays in the context."""

    def __post_init__(self) -> None:
        """Raise ValueError where a number is out of range."""
        super().__post_init__()
        real(self.entropy, "entropy")
        real(self.noise, "noise")

    @property
    def patches(self) -> int:
        """N, the tokens of one frame."""
        return patch_count(frame_size(self), self.patch, "continuous prior")


_SHARED = ("slots", "frames", "width", "ffn", "depth", "heads")
_HEADS = {"paper": 192, "small": 192, "tiny": 128, "study": 128, "debug": 16}
SIZES: dict[str, ContinuousConfig] = {
    name: replace(
        ContinuousConfig(),
        **{field: getattr(FACTORED[name], field) for field in _SHARED},
        slot_width=FACTORED[name].code_width, head_width=width,
    )
    for name, width in _HEADS.items()
}  # fmt: skip
"""Sizes by preset; the transformers are those of the factored prior."""
