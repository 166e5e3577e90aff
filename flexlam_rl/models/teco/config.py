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
    """How often the sides are halved: from 64 x 64 pixels to 16 x 16 codes by the default. The table's four multipliers
    would halve three times and give 8 x 8, its latent size is 16 x 16; the last levels keep their size here.
    """
    base: int = 128
    multipliers: tuple[int, ...] = (1, 2, 2, 2)
    """Channels of each level, in multiples of `base`."""
    blocks: int = 2
    """Residual blocks of a level."""
    attention_side: int = 16
    """Side of the grid at which blocks are followed by attention; 0 for none."""
    codes: int = 1024
    dim: int = 256
    commitment: float = 0.25
    decay: float = 0.99
    """Decay of the codebook's average."""
    restart: float = 0.1
    """Share of its fair part below which a code begins anew."""

    def __post_init__(self) -> None:
        """Raise ValueError where sizes do not fit each other."""
        super().__post_init__()
        for name in ("image_size", "channels", "base", "blocks", "codes", "dim"):
            whole(getattr(self, name), name, 1)
        whole(self.halvings, "halvings", 0)
        if self.image_size % (1 << self.halvings):
            raise ValueError(f"image_size {self.image_size} cannot be halved {self.halvings} times.")
        if len(self.multipliers) <= self.halvings:
            raise ValueError(f"multipliers are {self.multipliers}; {self.halvings} halvings need one more than that.")

    @property
    def side(self) -> int:
        """Codes along a side of a frame."""
        return self.image_size >> self.halvings


@dataclass(frozen=True)
class TemporalConfig(Plain):
    """The transformer over time (table B.13)."""

    side: int = 1
    """Tokens along a side of a frame: 1 is one token per frame (table B.5 compares 1, 2 and 4)."""
    width: int = 1024
    depth: int = 8
    heads: int = 16
    hidden: int = 4096
    out: int = 256
    """Channels of what it tells of the next frame at each place; not given."""
    told: int = 128
    """Numbers that the action or latent action of a step becomes; not given."""


@dataclass(frozen=True)
class SpatialConfig(Plain):
    """The prior of a frame's codes (table B.13, "MaskGit")."""

    width: int = 512
    depth: int = 8
    heads: int = 8
    hidden: int = 2048


@dataclass(frozen=True)
class WorldConfig(Plain):
    """What TECO and the models without latent dynamics have in common."""

    vqgan: VQGANConfig = field(default_factory=VQGANConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    prior: SpatialConfig = field(default_factory=SpatialConfig)
    depths: tuple[int, ...] = (256, 512)
    """Channels of the encoder's levels, and of TECO's decoder in reverse; each but the last halves the sides."""
    encoder_blocks: int = 2
    dim: int = 32
    """Channels of what a frame adds to the one before."""
    frames: int = 300
    """Frames of a training clip; a prediction looks back at one less."""
    drop_loss: float = 0.9
    """Share of the times that the prior and the decoder are not trained at, drawn anew at each step."""
    passes: int = 8
    """Passes of the draft of a frame."""
    revisions: int = 2
    """Rounds that draw half of the codes again."""
    revision_passes: int = 8
    """Passes of each of them."""
    actions: int = 0
    """Number of actions, of which each frame is told the one that led to it; 0 for none."""
    latents: int = 0
    """Numbers of the latent action that led to each frame, K slots one after the other; 0 for none."""
    action_dropout: float = 0.5
    """Share of training clips that are told nothing, so that one model predicts with and without."""

    def __post_init__(self) -> None:
        """Raise ValueError where sizes do not fit each other."""
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
        """Places along a side of what the encoder gives of a frame."""
        return self.vqgan.side >> (len(self.depths) - 1)

    @property
    def grid(self) -> int:
        """Places along a side of what the prior predicts."""
        return self.latent_side


@dataclass(frozen=True)
class TECOConfig(WorldConfig):
    """TECO, with the sizes of DMLab at 300 frames (table B.13)."""

    decoder_blocks: int = 4
    codes: int = 1024


@dataclass(frozen=True)
class DirectConfig(WorldConfig):
    """The same without latent dynamics: the prior predicts the VQ-GAN's codes themselves (table B.3)."""

    kind: Literal["maskgit", "ar"] = "maskgit"
    """"ar": one code after the other, with cross-attention to what the transformer over time tells."""

    @property
    def grid(self) -> int:
        """Places along a side of what the prior predicts."""
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
    """Give the sizes of a model without latent dynamics that belongs to a TECO: transformers of the same sizes."""
    same = {name: getattr(teco, name) for name in WorldConfig.__dataclass_fields__}
    return DirectConfig(**same, kind=kind)
