"""Configurations and recipes of latent action models of other papers.

They share FlexLAM's sizes, data, loop and choice of the best checkpoint, so they differ only in their method.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flexlam_rl.models.flexlam.config import DecoderConfig, EncoderConfig, LAMConfig
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class ForwardConfig(Plain):
    """Forward model from the current frame and the slots to what follows: a transformer over patches, or a U-Net."""

    width: int = 192
    depth: int = 12
    heads: int = 3
    ffn: int = 776
    patch: int = 4
    kind: Literal["transformer", "motion"] = field(default="transformer", metadata={"later": True})
    """Kind of network, as for FlexLAM's decoder. LAOM, which predicts features, always has the transformer."""


@dataclass(frozen=True, kw_only=True)
class SlotConfig(Plain):
    """Fields that these configurations share."""

    image_size: int = 64
    channels: int = 3
    slots: int
    prefix: bool = False
    """Whether training retains prefixes of random length; the papers have no prefixes."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    forward: ForwardConfig = field(default_factory=ForwardConfig)
    quantizer: str
    """Name in `flexlam_rl.nn.quantizers.QUANTIZERS`."""
    quantizer_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the quantizer."""
    image_width: int | None = field(default=None, metadata={"later": True})
    """Width of the frames, if it differs from `image_size`, their height."""

    def quantizer_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the quantizer's class."""
        return self.quantizer_options


@dataclass(frozen=True, kw_only=True)
class ForwardLAMConfig(SlotConfig):
    """An inverse and a forward model of pixels: LAPO or AdaWorld, depending on the quantizer."""


@dataclass(frozen=True, kw_only=True)
class LAOMConfig(SlotConfig):
    """An inverse and a forward model of learned features."""

    horizon: int = 10
    """Largest number of steps from a frame to the one that training infers its latent action from."""
    target_decay: float = 0.99
    """Decay of the moving average of the encoder whose features are predicted."""
    inverse_depth: int = 2
    """Layers of the inverse model, after those of the encoder."""


def _shared(lam: LAMConfig) -> dict[str, Any]:
    decoder: DecoderConfig = lam.decoder
    return {
        "image_size": lam.image_size,
        "image_width": lam.image_width,
        "channels": lam.channels,
        "encoder": lam.encoder,
        "forward": ForwardConfig(decoder.width, decoder.depth, decoder.heads, decoder.ffn, decoder.patch, decoder.kind),
    }


def lapo(lam: LAMConfig, slots: int = 8, size: int = 64, dim: int = 16, prefix: bool = False) -> ForwardLAMConfig:
    """LAPO at the size of a FlexLAM: 8 slots, each one of 64 vectors of 16 numbers, so 48 bits."""
    # the paper's decay is 0.999 over hundreds of thousands of steps
    options = {"size": size, "dim": dim, "decay": 0.99, "commitment": 0.05}
    return ForwardLAMConfig(slots=slots, prefix=prefix, quantizer="vq", quantizer_options=options, **_shared(lam))


def adaworld(
    lam: LAMConfig, slots: int = 1, dim: int = 32, beta: float = 2e-4, prefix: bool = False
) -> ForwardLAMConfig:
    """AdaWorld's latent action autoencoder at the size of a FlexLAM: 32 numbers kept near a normal distribution."""
    options = {"dim": dim, "beta": beta}
    return ForwardLAMConfig(slots=slots, prefix=prefix, quantizer="gaussian", quantizer_options=options, **_shared(lam))


def laom(
    lam: LAMConfig, slots: int = 1, dim: int = 128, horizon: int = 3, target_decay: float = 0.99, prefix: bool = False
) -> LAOMConfig:
    """LAOM at the size of a FlexLAM, whose encoder layers are divided between encoder and inverse model."""
    shared = _shared(lam)
    inverse = max(1, lam.encoder.depth // 3)
    shared["encoder"] = replace(lam.encoder, depth=max(1, lam.encoder.depth - inverse))
    return LAOMConfig(
        slots=slots, prefix=prefix, quantizer="identity", quantizer_options={"dim": dim}, horizon=horizon,
        target_decay=target_decay, inverse_depth=inverse, **shared,
    )  # fmt: skip
