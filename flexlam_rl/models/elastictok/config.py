"""Configurations of ElasticTok's two models, and their sizes (dissertation, appendix C.1)."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flexlam_rl.nn.patch_embed import frame_size, patch_count
from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain

PresetName = Literal["paper", "tiny", "debug"]
Bottleneck = Literal["fsq", "vae"]
"""Bottleneck: discrete codes, or numbers near a normal distribution."""


@dataclass(frozen=True)
class ElasticTokConfig(Plain):
    """Autoencoder that turns each block of frames into N tokens, of which a prefix is kept."""

    image_size: int = 256
    channels: int = 3
    frames: int = 4
    """Frames per block."""
    patch_time: int = 1
    """Frames that share a token."""
    patch: int = 8
    """Pixels along a side that share a token."""
    blocks: int = 1
    """Largest number of blocks per clip, as in training."""
    least: int = 256
    """Shortest prefix; still shorter ones make training unstable (section 4.2)."""
    most: int | None = None
    """Longest prefix; None for all tokens. A baseline of constant length has the value of `least` here."""
    width: int = 1024
    hidden: int = 2048
    depth: int = 10
    """Number of layers of the encoder, and of the decoder."""
    heads: int = 16
    rope_theta: float = 5e7
    norm_eps: float = 1e-6
    quantizer: str = "fsq"
    """Name in `flexlam_rl.nn.quantizers.QUANTIZERS`."""
    quantizer_options: dict[str, Any] = field(default_factory=lambda: {"levels": [8, 8, 8, 5, 5, 5]})
    """Keyword arguments of the quantizer."""
    image_width: int | None = None
    """Width of the frames, if it differs from `image_size`, their height."""

    def __post_init__(self) -> None:
        """Raise ValueError if sizes do not fit each other."""
        super().__post_init__()
        for name in ("image_size", "channels", "frames", "patch_time", "blocks", "width", "hidden", "depth", "heads"):
            whole(getattr(self, name), name, 1)
        if self.frames % self.patch_time:
            raise ValueError(f"patch_time is {self.patch_time}, which does not divide a block's {self.frames} frames.")
        if self.width % (2 * self.heads):
            raise ValueError(f"width is {self.width}; expected a multiple of twice the heads, {2 * self.heads}.")
        real(self.rope_theta, "rope_theta", 1.0)
        whole(self.least, "least", 1, self.tokens)
        if self.most is not None:
            whole(self.most, "most", self.least, self.tokens)

    @property
    def tokens(self) -> int:
        """N, the tokens per block."""
        return self.frames // self.patch_time * patch_count(frame_size(self), self.patch, "autoencoder")

    @property
    def grid(self) -> tuple[int, int, int]:
        """Number of tokens of a block along time, height and width."""
        height, width = frame_size(self)
        return self.frames // self.patch_time, height // self.patch, width // self.patch

    @property
    def longest(self) -> int:
        """Longest prefix that is kept."""
        return self.tokens if self.most is None else self.most

    def quantizer_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the quantizer's class."""
        return self.quantizer_options


@dataclass(frozen=True)
class RegressorConfig(Plain):
    """Model that guesses the length that a threshold needs."""

    tokenizer: ElasticTokConfig = field(default_factory=ElasticTokConfig)
    """Configuration of the autoencoder whose lengths it guesses, and whose encoder's weights it starts from."""
    low: float = 0.003
    """Smallest threshold that it is trained on."""
    high: float = 0.2
    """Largest threshold that it is trained on."""

    def __post_init__(self) -> None:
        """Raise ValueError if the thresholds are not a range."""
        super().__post_init__()
        if not 0.0 < real(self.low, "low") < real(self.high, "high"):
            raise ValueError(f"low is {self.low} and high {self.high}; expected 0 < low < high.")


_FSQ = ElasticTokConfig()
_VAE: dict[str, Any] = {"quantizer": "gaussian", "quantizer_options": {"dim": 8, "beta": 1e-8}}
_TINY = ElasticTokConfig(
    image_size=64, patch_time=2, patch=8, least=8, width=128, hidden=256, depth=3, heads=4, rope_theta=10_000.0
)
_DEBUG = ElasticTokConfig(
    image_size=64, frames=2, patch_time=1, patch=32, least=2, width=16, hidden=32, depth=2, heads=2, rope_theta=10_000.0
)
PRESETS: dict[tuple[PresetName, Bottleneck], ElasticTokConfig] = {
    # appendix C.1; the number of heads is not given there
    ("paper", "fsq"): _FSQ,
    ("paper", "vae"): replace(_FSQ, patch_time=2, least=128, rope_theta=5e6, **_VAE),
    ("tiny", "fsq"): _TINY,
    ("tiny", "vae"): replace(_TINY, **_VAE),
    ("debug", "fsq"): _DEBUG,
    ("debug", "vae"): replace(_DEBUG, **_VAE),
}
