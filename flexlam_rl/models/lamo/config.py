"""Configurations of Midway, the pixel decoder and LaMo, and their sizes (LaMo, sections 4 and 5)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from flexlam_rl.nn.density_heads import HeadName
from flexlam_rl.nn.patch_embed import frame_size, patch_count
from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain

Predicted = Literal["motion", "state"]


@dataclass(frozen=True)
class MidwayConfig(Plain):
    """Sizes of encoder, inverse and forward models. LaMo's paper gives 3 levels of 10 tokens; the other sizes are those
    of Midway's public description (ViT-S, features after blocks 2, 5, 8 and 11, motion of 192 numbers).
    """

    image_size: int = 64
    image_width: int | None = None
    """Width of the frames, if it differs from `image_size`, their height."""
    channels: int = 3
    patch: int = 8
    """Pixels along a side of a patch. A ViT-S/16 sees 196 patches at 224 pixels; 8 gives 64 patches at 64."""
    width: int = 384
    depth: int = 12
    heads: int = 6
    hidden: int = 1536
    taps: tuple[int, ...] = (2, 5, 8, 11)
    """Blocks (from 0) after which features are read, lowest level first. All but the last are levels of the state; the
    last starts the refinement of motion, and is never predicted.
    """
    tokens: int = 10
    """Motion tokens per level."""
    motion_dim: int = 192
    dynamics_depth: int = 4
    """Number of layers of each inverse and forward model."""
    gate: float = 4.0
    """Initial gate of the forward models' layers: the share of its input that a layer keeps is sigmoid(gate).
    """
    momentum: float = 0.996
    """Decay of the moving average of the encoder's weights, which gives the targets."""
    prototypes: int = 4096
    dino_weight: float = 1.0
    """Weight of the loss that keeps features from collapsing (DINO); 0 leaves it out."""

    def __post_init__(self) -> None:
        """Raise ValueError if sizes do not fit each other."""
        super().__post_init__()
        for name in ("width", "depth", "heads", "hidden", "tokens", "motion_dim", "dynamics_depth", "prototypes"):
            whole(getattr(self, name), name, 1)
        rising = all(low < high for low, high in zip(self.taps, self.taps[1:], strict=False))
        if len(self.taps) < 2 or not rising or not 0 <= self.taps[0] <= self.taps[-1] < self.depth:
            raise ValueError(
                f"taps is {self.taps}; expected at least two ascending indices of blocks in 0..{self.depth - 1}."
            )
        if not 0.0 <= real(self.momentum, "momentum") <= 1.0:
            raise ValueError(f"momentum is {self.momentum}; expected 0..1.")
        real(self.dino_weight, "dino_weight")
        _ = self.patches

    @property
    def levels(self) -> int:
        """L, the number of levels of the state and of motion."""
        return len(self.taps) - 1

    @property
    def patches(self) -> int:
        """N, the patches of a frame."""
        return patch_count(frame_size(self), self.patch, "encoder")


@dataclass(frozen=True)
class PixelDecoderConfig(Plain):
    """Transformer from states to pixels; it has six layers in the paper."""

    midway: MidwayConfig = field(default_factory=MidwayConfig)
    width: int = 384
    depth: int = 6
    heads: int = 6
    hidden: int = 1536


@dataclass(frozen=True)
class LaMoConfig(Plain):
    """Context transformer and head (section 5 gives 12 layers, width 1152, 8 heads, 3 blocks of the flow head, 3
    components of the mixture).
    """

    decoder: PixelDecoderConfig = field(default_factory=PixelDecoderConfig)
    predict: Predicted = "motion"
    """What the model predicts; "state" is the baseline, which predicts the next state from states."""
    head: HeadName = "flow"
    history: int = 3
    """K, the past motions in the context; for the baseline, the past states beside the current one."""
    width: int = 1152
    depth: int = 12
    heads: int = 8
    hidden: int = 4608
    head_width: int = 1152
    head_blocks: int = 3
    components: int = 3
    entropy: float = 0.01
    """Weight of the entropy of the mixture's weights, which the paper leaves open."""
    noise: float = 1.0
    """Largest standard deviation of the noise on the context in training; 0 for none."""
    steps: int = 20
    """Steps of the flow head, unless a call says otherwise."""

    def __post_init__(self) -> None:
        """Raise ValueError if a number is out of range."""
        super().__post_init__()
        for name in (
            "history", "width", "depth", "heads", "hidden", "head_width", "head_blocks", "components", "steps"
        ):  # fmt: skip
            whole(getattr(self, name), name, 1)
        real(self.entropy, "entropy")
        real(self.noise, "noise")

    @property
    def midway(self) -> MidwayConfig:
        """Configuration of the frozen Midway."""
        return self.decoder.midway

    @property
    def frames(self) -> int:
        """Frames of a training clip: K + 1 up to the current state, and the next one."""
        return self.history + 2


@dataclass(frozen=True)
class Preset:
    """Sizes that belong together."""

    midway: MidwayConfig
    decoder: PixelDecoderConfig
    lamo: LaMoConfig


def _preset(midway: MidwayConfig, decoder: dict[str, Any], lamo: dict[str, Any]) -> Preset:
    pixels = PixelDecoderConfig(midway, **decoder)
    return Preset(midway, pixels, LaMoConfig(pixels, **lamo))


PRESETS: dict[str, Preset] = {
    "paper": _preset(MidwayConfig(), {}, {}),
    # two cores, minutes per stage
    "tiny": _preset(
        MidwayConfig(
            patch=16, width=96, depth=4, heads=4, hidden=384, taps=(0, 1, 2, 3), tokens=4, motion_dim=16,
            dynamics_depth=2, prototypes=256, momentum=0.99,
        ),
        {"width": 96, "depth": 4, "heads": 4, "hidden": 384},
        {"width": 128, "depth": 4, "heads": 4, "hidden": 384, "head_width": 128},
    ),
    "debug": _preset(
        MidwayConfig(
            patch=16, width=16, depth=4, heads=2, hidden=32, taps=(0, 1, 2, 3), tokens=2, motion_dim=4,
            dynamics_depth=1, prototypes=8,
        ),
        {"width": 16, "depth": 1, "heads": 2, "hidden": 32},
        {"width": 16, "depth": 1, "heads": 2, "hidden": 32, "head_width": 16, "steps": 3},
    ),
}  # fmt: skip
