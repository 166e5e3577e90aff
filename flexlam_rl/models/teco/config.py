"""Configurations of TECO's models and their sizes (dissertation, appendix B.14)."""

from dataclasses import dataclass, field
from typing import Literal

from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class VQGANConfig(Plain):
    """The autoencoder of single frames; defaults are those of DMLab (first table of appendix B.14)."""

    image_size: int = 64
    channels: int = 3
    halvings: int = 2
    """How often the sides are halved; by default, from 64 x 64 pixels to 16 x 16 codes. The table's four multipliers
    would halve three times, to 8 x 8, but its latent size is 16 x 16; here, the last levels keep their size.
    """
    base: int = 128
    multipliers: tuple[int, ...] = (1, 2, 2, 2)
    """Channels of each level, in multiples of `base`."""
    blocks: int = 2
    """Residual blocks per level."""
    attention_side: int = 16
    """Side of the grid at which attention follows each block; 0 for no attention."""
    codes: int = 1024
    dim: int = 256
    commitment: float = 0.25
    decay: float = 0.99
    """Decay of the codebook's moving average."""
    restart: float = 0.1
    """Share of the average use of a code below which a code restarts."""

    def __post_init__(self) -> None:
        """Raise ValueError if sizes do not fit each other."""
        super().__post_init__()
        for name in ("image_size", "channels", "base", "blocks", "codes", "dim"):
            whole(getattr(self, name), name, 1)
        whole(self.halvings, "halvings", 0)
        if self.image_size % (1 << self.halvings):
            raise ValueError(f"image_size {self.image_size} cannot be halved {self.halvings} times.")
        if len(self.multipliers) <= self.halvings:
            raise ValueError(f"multipliers are {self.multipliers}; {self.halvings} halvings need more than that many.")

    @property
    def side(self) -> int:
        """Number of codes along a side of a frame."""
        return self.image_size >> self.halvings


@dataclass(frozen=True)
class TemporalConfig(Plain):
    """Sizes of the transformer over time (table B.13)."""

    side: int = 1
    """Tokens along a side of a frame: 1 is one token per frame (table B.5 compares 1, 2 and 4)."""
    width: int = 1024
    depth: int = 8
    heads: int = 16
    hidden: int = 4096
    out: int = 256
    """Output channels per place for the next frame; not given in the table."""
    told: int = 128
    """Size of the embedding of a step's action or latent action; not given in the table."""


@dataclass(frozen=True)
class SpatialConfig(Plain):
    """Sizes of the prior of a frame's codes (table B.13, "MaskGit")."""

    width: int = 512
    depth: int = 8
    heads: int = 8
    hidden: int = 2048


@dataclass(frozen=True)
class WorldConfig(Plain):
    """Fields that TECO and the models without latent dynamics share."""

    vqgan: VQGANConfig = field(default_factory=VQGANConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    prior: SpatialConfig = field(default_factory=SpatialConfig)
    depths: tuple[int, ...] = (256, 512)
    """Channels of the encoder's levels, and of TECO's decoder in reverse order; each level but the last halves the
    sides.
    """
    encoder_blocks: int = 2
    dim: int = 32
    """Channels of a frame's latent, which holds what the frame adds to the one before."""
    frames: int = 300
    """Frames of a training clip; a prediction looks back at one frame fewer."""
    drop_loss: float = 0.9
    """Share of the times at which prior and decoder are not trained (DropLoss), drawn anew at each step."""
    passes: int = 8
    """Passes of a frame's draft."""
    revisions: int = 2
    """Number of revisions, each of which draws half of the codes again."""
    revision_passes: int = 8
    """Passes of each revision."""
    actions: int = 0
    """Number of actions, if the model is given the action that led to each frame; otherwise 0."""
    latents: int = 0
    """Numbers of the latent action that led to each frame (K slots concatenated), if the model is given it; otherwise
    0.
    """
    action_dropout: float = 0.5
    """Share of training clips without any action, so that one model predicts with and without actions."""

    def __post_init__(self) -> None:
        """Raise ValueError if sizes do not fit each other."""
        super().__post_init__()
        whole(self.frames, "frames", 2)
        for name, low in (("passes", 1), ("revisions", 0), ("revision_passes", 1), ("actions", 0), ("latents", 0)):
            whole(getattr(self, name), name, low)
        for size in (*self.depths, self.encoder_blocks, self.dim):
            whole(size, "a depth, encoder_blocks or dim", 1)
        for name in ("drop_loss", "action_dropout"):
            if not 0 <= real(getattr(self, name), name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a share, 0 to 1.")
        if self.actions and self.latents:
            raise ValueError(f"actions is {self.actions} and latents {self.latents}; expected one of the two.")
        if self.latent_side % self.temporal.side:
            raise ValueError(
                f"temporal.side is {self.temporal.side}; expected a divisor of the grid's {self.latent_side}."
            )

    @property
    def latent_side(self) -> int:
        """Number of places along a side of a frame's latent."""
        return self.vqgan.side >> (len(self.depths) - 1)

    @property
    def grid(self) -> int:
        """Number of places along a side of the grid that the prior predicts."""
        return self.latent_side


@dataclass(frozen=True)
class TECOConfig(WorldConfig):
    """Sizes of TECO, by default for DMLab at 300 frames (table B.13)."""

    decoder_blocks: int = 4
    codes: int = 1024


@dataclass(frozen=True)
class DirectConfig(WorldConfig):
    """Sizes of the model without latent dynamics, whose prior predicts the VQ-GAN's codes themselves (table B.3)."""

    kind: Literal["maskgit", "ar"] = "maskgit"
    """Kind of prior; "ar": one code after another, with cross-attention to the output of the transformer over time."""

    @property
    def grid(self) -> int:
        """Number of places along a side of the grid that the prior predicts."""
        return self.vqgan.side


@dataclass(frozen=True)
class Preset:
    """Sizes that belong together."""

    vqgan: VQGANConfig
    teco: TECOConfig


def _tiny() -> Preset:
    vqgan = VQGANConfig(base=16, multipliers=(1, 2, 4), blocks=1, codes=256, dim=32)
    temporal = TemporalConfig(width=256, depth=4, heads=4, hidden=1024, out=64, told=32)
    prior = SpatialConfig(width=128, depth=4, heads=4, hidden=512)
    teco = TECOConfig(
        vqgan, temporal, prior, frames=64, depths=(32, 64), encoder_blocks=1, decoder_blocks=2, codes=256, dim=16
    )
    return Preset(vqgan, teco)


def _debug() -> Preset:
    vqgan = VQGANConfig(halvings=3, base=4, multipliers=(1, 1, 2, 2), blocks=1, attention_side=8, codes=16, dim=4)
    temporal = TemporalConfig(width=16, depth=1, heads=2, hidden=32, out=8, told=8)
    prior = SpatialConfig(width=16, depth=1, heads=2, hidden=32)
    teco = TECOConfig(
        vqgan, temporal, prior, frames=5, drop_loss=0.5, passes=2, revisions=1, revision_passes=2, depths=(8, 8),
        encoder_blocks=1, decoder_blocks=1, codes=16, dim=4,
    )  # fmt: skip
    return Preset(vqgan, teco)


PRESETS: dict[str, Preset] = {
    "paper": Preset(VQGANConfig(), TECOConfig()),
    "tiny": _tiny(),
    "debug": _debug(),
}


def direct_config(teco: TECOConfig, kind: Literal["maskgit", "ar"]) -> DirectConfig:
    """Make the configuration of a model without latent dynamics whose transformers have the sizes of a TECO's."""
    same = {name: getattr(teco, name) for name in WorldConfig.__dataclass_fields__}
    return DirectConfig(**same, kind=kind)
