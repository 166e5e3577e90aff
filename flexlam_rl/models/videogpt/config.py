"""Configurations of VideoGPT's two models, and their sizes (dissertation, tables A.1 and A.2; VIPER: appendix E)."""

from dataclasses import dataclass, field, replace
from typing import Literal

from flexlam_rl.utils.numbers import whole
from flexlam_rl.utils.plain import Plain

Box = tuple[int, int, int, int]
"""Rectangle of pixels: top, bottom, left, right, with the ends excluded."""


@dataclass(frozen=True)
class VQVAEConfig(Plain):
    """Autoencoder that turns clips of frames into a grid of codes."""

    image_size: int = 64
    channels: int = 3
    frames: int = 16
    """Frames per clip."""
    down_time: int = 2
    """Number of frames that share codes, a power of two."""
    down_space: int = 2
    """Pixels along a side that share codes, a power of two."""
    per_frame: bool = False
    """Whether a frame's codes depend only on that frame, as VIPER's rewards per frame need; `down_time` is then 1."""
    codes: int = 1024
    dim: int = 256
    """Numbers per place of the grid, divided among its codebooks."""
    codebooks: int = 1
    """Number of codes per place, each from a codebook of its own."""
    hidden: int = 240
    units: int = 128
    """Channels inside residual blocks."""
    blocks: int = 4
    attention: bool = True
    """Whether residual blocks attend along time, height and width."""
    heads: int = 2
    commitment: float = 0.25
    decay: float = 0.99
    """Decay of the codebook's moving average."""
    restart: float = 0.1
    """Share of the average use of a code below which a code restarts."""
    normalise: bool = True
    """Whether the squared error is divided by `variance`."""
    variance: float = 1.0
    """Variance of the training data's pixel values in [-0.5, 0.5]."""
    mask: Box | None = None
    """Pixels that the model sees as black, such as a score board."""

    def __post_init__(self) -> None:
        """Raise ValueError if sizes do not fit each other."""
        super().__post_init__()
        for name in ("frames", "codes", "dim", "codebooks", "hidden", "units", "blocks", "heads"):
            whole(getattr(self, name), name, 0 if name == "blocks" else 1)
        for name, size in (("down_time", self.frames), ("down_space", self.image_size)):
            value = whole(getattr(self, name), name, 1)
            if value & (value - 1) or size % value:
                raise ValueError(f"{name} is {value}; expected a power of two that divides {size}.")
        if self.per_frame and self.down_time != 1:
            raise ValueError(f"down_time is {self.down_time}; codes per frame need down_time 1.")
        if self.dim % self.codebooks:
            raise ValueError(f"dim {self.dim} is not a multiple of codebooks {self.codebooks}.")
        if self.attention and self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}.")
        if self.mask is not None:
            top, bottom, left, right = self.mask
            if not (0 <= top < bottom <= self.image_size and 0 <= left < right <= self.image_size):
                size = self.image_size
                raise ValueError(f"mask is {self.mask}; expected top < bottom and left < right within {size} pixels.")

    @property
    def grid(self) -> tuple[int, int, int]:
        """Number of codes of a clip along time, height and width."""
        side = self.image_size // self.down_space
        return self.frames // self.down_time, side, side


@dataclass(frozen=True)
class PriorConfig(Plain):
    """Sizes and conditions of the GPT over codes."""

    width: int = 512
    depth: int = 16
    heads: int = 4
    hidden: int = 2048
    dropout: float = 0.2
    attention: Literal["full", "sparse"] = "full"
    """Kind of attention; "sparse": layers alternate between the last `local` codes, and codes at the same place of
    earlier rows and frames (Sparse Transformer).
    """
    local: int = 64
    context_frames: int = 0
    """Number of frames that the prior sees through a 3D ResNet and cross-attention; 0 for none."""
    resnet_depth: Literal[10, 18, 34] = 34
    resnet_units: int = 512
    actions: int = 0
    """Number of actions, if the prior is given the action that led to each frame; otherwise 0."""
    latents: int = 0
    """Numbers of the latent action that led to each frame (K slots concatenated), if the prior is given it; otherwise
    0.
    """
    tasks: tuple[str, ...] = ()
    """Names of the tasks, if the prior is given the task of each clip."""

    @property
    def per_frame(self) -> int:
        """Size of the vector that represents the step to a frame."""
        return (self.actions + 1 if self.actions else 0) + self.latents

    def condition(self, down_time: int) -> int:
        """C, the size of the norms' condition."""
        return self.per_frame * down_time + len(self.tasks)


@dataclass(frozen=True)
class VideoGPTConfig(Plain):
    """Configurations of both models."""

    vqvae: VQVAEConfig = field(default_factory=VQVAEConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)


@dataclass(frozen=True)
class Preset:
    """Sizes that belong together."""

    vqvae: VQVAEConfig
    prior: PriorConfig


_BAIR = VQVAEConfig()
_TINY = VQVAEConfig(
    frames=8, down_time=4, down_space=8, codes=256, dim=32, hidden=32, units=32, blocks=2, heads=4, commitment=0.25
)
_TINY_PRIOR = PriorConfig(
    width=128, depth=4, heads=4, hidden=512, dropout=0.0, local=16, resnet_depth=10, resnet_units=64
)
_DEBUG = VQVAEConfig(frames=4, down_time=2, down_space=16, codes=16, dim=8, hidden=8, units=8, blocks=1, heads=2)
_DEBUG_PRIOR = PriorConfig(
    width=16, depth=2, heads=2, hidden=32, dropout=0.1, local=4, resnet_depth=10, resnet_units=16
)
PRESETS: dict[str, Preset] = {
    # the columns of BAIR, RoboNet and ViZDoom in tables A.1 and A.2
    "paper": Preset(_BAIR, PriorConfig()),
    "tiny": Preset(_TINY, _TINY_PRIOR),
    "debug": Preset(_DEBUG, _DEBUG_PRIOR),
}
VIPER_PRESETS: dict[str, Preset] = {
    # the column of DMC in appendix E, with this VQ-VAE, one frame at a time, instead of its VQ-GAN
    "paper": Preset(
        replace(_BAIR, down_time=1, down_space=8, per_frame=True, dim=64),
        PriorConfig(width=256, depth=8, heads=8, hidden=1024, dropout=0.0),
    ),
    "tiny": Preset(replace(_TINY, down_time=1, down_space=16, per_frame=True), _TINY_PRIOR),
    "debug": Preset(replace(_DEBUG, down_time=1, down_space=32, per_frame=True), _DEBUG_PRIOR),
}
"""Sizes of models with codes per frame, for VIPER's rewards."""
