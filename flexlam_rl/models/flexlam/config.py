"""Configurations of all models, and the presets. Frozen dataclasses: what a checkpoint's config.json holds."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.nn.patch_embed import frame_size, patch_count
from flexlam_rl.utils.plain import Plain


def dreamer15() -> ActionSpec:
    """DMLab's 15 actions, which models predict unless they are told others."""
    return ActionSpec((15,), 0, "dreamer15")


@dataclass(frozen=True)
class EncoderConfig(Plain):
    """Two-frame ViT with slot tokens (paper, table 6). Patch size and read-out are free there; 8 gives 64 patches."""

    width: int = 192
    depth: int = 8
    heads: int = 3
    mlp_ratio: float = 4.0
    patch: int = 8
    stem: Literal["linear", "conv"] = field(default="linear", metadata={"later": True})
    """How the frames become tokens: a linear map of each patch (the paper), or cells of `patch` pixels that two
    convolutions halve, so that a token stands for 4 x 4 of them.
    """

    def __post_init__(self) -> None:
        """Raise ValueError without a layer: the slots would be the same for all frames."""
        super().__post_init__()
        if self.depth < 1:
            raise ValueError(f"depth of the encoder is {self.depth}; expected at least 1.")


@dataclass(frozen=True)
class DecoderConfig(Plain):
    """Rectified-flow DiT (paper, table 6), or a small U-Net that moves pixels (`nn.unet`)."""

    width: int = 192
    depth: int = 12
    heads: int = 3
    ffn: int = 776
    patch: int = 4
    predict: Literal["velocity", "frame"] = "velocity"
    """What the network puts out: the velocity, or the clean next frame as a change to the current one (the velocity
    then follows). A decoder whose width is below the numbers in a patch cannot carry the noise of a velocity, hence
    "frame" in the small presets.
    """
    noise_share: float = 0.5
    """Share of examples at pure noise (tau = 0): there a next frame cannot give itself away, so the codes must carry
    it.
    """
    tau_mean: float = -1.5
    """The other examples draw tau = sigmoid(N(tau_mean, tau_std))."""
    tau_std: float = 1.0
    kind: Literal["transformer", "motion"] = field(default="transformer", metadata={"later": True})
    """A transformer over patches (the paper), or a U-Net over cells of `patch` pixels, which predicts the frame."""

    def __post_init__(self) -> None:
        """Raise ValueError where a U-Net is to predict the velocity."""
        super().__post_init__()
        if self.kind == "motion" and self.predict != "frame":
            raise ValueError(f"predict is {self.predict!r}; a decoder of the kind 'motion' predicts the frame.")


@dataclass(frozen=True)
class LAMConfig(Plain):
    """A latent action model. FlexLAM and Fixed-K differ by `slots` and `prefix` alone."""

    image_size: int = 64
    channels: int = 3
    slots: int = 64
    levels: tuple[int, ...] = (8, 5, 5, 5)
    """Levels of the quantizer "fsq"; others do not use them."""
    prefix: bool = True
    """True: FlexLAM, k ~ Uniform{0..M} in training. False: Fixed-K, k = M always."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    quantizer: str = field(default="fsq", metadata={"later": True})
    """Name in `flexlam_rl.nn.quantizers.QUANTIZERS`."""
    quantizer_options: dict[str, Any] = field(default_factory=dict, metadata={"later": True})
    """Arguments of a quantizer other than "fsq"."""
    image_width: int | None = field(default=None, metadata={"later": True})
    """Width of the frames in pixels; None: `image_size`, which is their height."""
    saturation: float = field(default=0.0, metadata={"later": True})
    """Weight of the term that keeps what "fsq" rounds within the range of its levels (`nn.quantizers.fsq`)."""
    normalize: bool = field(default=False, metadata={"later": True})
    """Whether what "fsq" rounds is normalized over the batch (`nn.slot_norm`). Other quantizers ignore it."""

    def __post_init__(self) -> None:
        """Raise ValueError if the quantizer "fsq" is given options."""
        super().__post_init__()
        if self.quantizer == "fsq" and self.quantizer_options:
            raise ValueError(f"quantizer_options is {self.quantizer_options}; the quantizer 'fsq' takes levels.")

    def quantizer_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the quantizer's class."""
        if self.quantizer != "fsq":
            return self.quantizer_options
        return {"levels": self.levels} | ({"saturation": self.saturation} if self.saturation else {})


Conditioning = Literal["slots", "slots+action", "slots+frame", "slots+action+frame"]
"""Inputs of a translator: the codes, the previous action, the current frame (paper, appendix D.1; the paper has no
"slots+frame").
"""


@dataclass(frozen=True)
class TranslatorConfig(Plain):
    """Hourglass MLP (paper, table 7): narrow residual blocks on a wide stream."""

    slots: int = 64
    code_dim: int = 4
    prefix: bool = True
    actions: ActionSpec = field(default_factory=dreamer15)
    conditioning: Conditioning = "slots+action"
    depth: int = 5
    hidden: int = 96
    wide: int = 512
    image_size: int = 64
    channels: int = 3
    image_width: int | None = field(default=None, metadata={"later": True})
    """Width of the frames in pixels; None: `image_size`, which is their height."""
    frame_patch: int = field(default=8, metadata={"later": True})
    """Side of the frame's patches in pixels, if the translator sees the frame."""


@dataclass(frozen=True)
class SequenceConfig(Plain):
    """Qwen3-style decoder over frame patches and code blocks (paper, table 8); the number of layers is free there."""

    slots: int = 64
    codes: int = 1000
    image_size: int = 64
    channels: int = 3
    patch: int = 8
    stride: int = 8
    frames: int = 34
    width: int = 256
    ffn: int = 1024
    depth: int = 8
    heads: int = 4
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    stem: Literal["linear", "conv"] = field(default="linear", metadata={"later": True})
    """How a frame becomes patch tokens: a linear map of each patch (the paper), or a few convolutions."""
    image_width: int | None = field(default=None, metadata={"later": True})
    """Width of the frames in pixels; None: `image_size`, which is their height."""

    @property
    def patches(self) -> int:
        """N, the image tokens of one frame."""
        return patch_count(frame_size(self), self.patch, "sequence model")


@dataclass(frozen=True)
class IDMConfig(Plain):
    """Inverse dynamics baseline: actions straight from two frames and the previous action, no bottleneck."""

    image_size: int = 64
    channels: int = 3
    actions: ActionSpec = field(default_factory=dreamer15)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    depth: int = 5
    hidden: int = 96
    wide: int = 512
    image_width: int | None = field(default=None, metadata={"later": True})
    """Width of the frames in pixels; None: `image_size`, which is their height."""


@dataclass(frozen=True)
class FeatureConfig(Plain):
    """Baseline on the change of frozen visual features, with the translator's MLP."""

    channels: int = 3
    actions: ActionSpec = field(default_factory=dreamer15)
    seed: int = 0
    """Seed of the frozen weights."""
    depth: int = 5
    hidden: int = 96
    wide: int = 512


@dataclass(frozen=True)
class Preset:
    """Sizes that belong together."""

    lam: LAMConfig
    sequence: SequenceConfig


def _preset(
    slots: int,
    encoder: EncoderConfig,
    decoder: DecoderConfig,
    saturation: float = 0.0,
    normalize: bool = False,
    **sequence: Any,
) -> Preset:
    lam = LAMConfig(slots=slots, encoder=encoder, decoder=decoder, saturation=saturation, normalize=normalize)
    return Preset(lam, SequenceConfig(slots=slots, **sequence))


PRESETS: dict[str, Preset] = {
    # the tables' sizes; a patch of 4 has 48 numbers, well below the width, so velocity prediction holds
    "paper": _preset(64, EncoderConfig(), DecoderConfig()),
    # one consumer GPU, hours
    "small": _preset(64, EncoderConfig(width=192, depth=6), DecoderConfig(depth=8, patch=8, predict="frame"), depth=6),
    # two cores, minutes: chosen by a table of options at equal processor seconds (docs/lam.md)
    "tiny": _preset(
        16,
        EncoderConfig(width=128, depth=1, heads=4, patch=4, stem="conv"),
        DecoderConfig(width=128, depth=1, heads=4, ffn=512, patch=4, predict="frame", kind="motion", noise_share=0.9),
        saturation=0.01, normalize=True,
        # convolutions see, so that few tokens and layers are left: half of the cost of four layers on 16 linear patches
        # (docs/sequence.md)
        width=128, ffn=384, depth=2, patch=32, stem="conv",
    ),
    # seconds
    "debug": _preset(
        4,
        EncoderConfig(width=32, depth=1, heads=2, patch=16),
        DecoderConfig(width=32, depth=1, heads=2, ffn=64, patch=16, predict="frame"),
        width=32, ffn=64, depth=2, heads=2, patch=16, frames=6, stride=2,
    ),
}  # fmt: skip


# many models that are compared, each in minutes: the sizes of "tiny"
PRESETS["study"] = PRESETS["tiny"]


def fixed(lam: LAMConfig, slots: int, levels: tuple[int, ...] | None = None) -> LAMConfig:
    """The Fixed-K baseline of a FlexLAM configuration: `slots` = K, always all kept. Fixed-K2† is `fixed(lam, 2,
    (5,))`.
    """
    return replace(lam, slots=slots, prefix=False, levels=levels or lam.levels)
