"""Stage 1: a VQ-VAE of clips with 3D convolutions (dissertation, section 2.3).

Shapes: B clips, T frames, C H W frame, t h w grid, n codebooks, V codes, D channels.
"""

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.videogpt.blocks import AxialPositions, ResidualBlock, convolution, strides, transposed
from flexlam_rl.models.videogpt.config import VQVAEConfig
from flexlam_rl.nn.frames import to_bytes, to_unit
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.quantizers.vq import VQ


class _Half(nn.Module):
    """Encoder or decoder: convolutions that change the size, and residual blocks."""

    def __init__(self, sizes: nn.Sequential, config: VQVAEConfig) -> None:
        super().__init__()
        heads = config.heads if config.attention else 0
        blocks = (ResidualBlock(config.hidden, config.units, heads, not config.per_frame) for _ in range(config.blocks))
        self.sizes, self.blocks = sizes, nn.ModuleList(blocks)

    def residual(self, x: Tensor, positions: AxialPositions | None) -> Tensor:
        """Run the residual blocks."""
        for block in self.blocks:
            x = block(x, positions)
        return x


class VQVAE(PretrainedModel):
    """Encodes clips as codes, and decodes them. Codes of a clip are int64 (B, t, h, w, n)."""

    config_class = VQVAEConfig

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        time = not config.per_frame
        hidden, steps = config.hidden, strides(config.down_time, config.down_space)
        t, h, w = config.grid
        self.positions = AxialPositions(hidden, (t if time else 0, h, w)) if config.attention else None
        down: list[nn.Module] = []
        for i, stride in enumerate(steps):
            down += [convolution(hidden if i else config.channels, hidden, stride, time), nn.ReLU()]
        down.append(convolution(hidden if steps else config.channels, hidden, over_time=time))
        self.encoder = _Half(nn.Sequential(*down), config)
        self.to_codes = nn.Conv3d(hidden, config.dim, 1)
        self.quantizers = nn.ModuleList(
            VQ(config.codes, config.dim // config.codebooks, config.decay, config.commitment, config.restart)
            for _ in range(config.codebooks)
        )
        self.from_codes = nn.Conv3d(config.dim, hidden, 1)
        up: list[nn.Module] = [nn.ReLU()]
        for stride in reversed(steps):
            up += [transposed(hidden, hidden, stride, time), nn.ReLU()]
        self.decoder = _Half(nn.Sequential(*up, convolution(hidden, config.channels, over_time=time)), config)

    def encode(self, frames: Tensor) -> Tensor:
        """Encode clips (B, T, C, H, W), uint8 or in [-1, 1], as codes (B, t, h, w, n).

        Raises:
            ValueError: The clips do not fit this model.
        """
        return self._quantize(self._vectors(self._values(frames)))[1]

    @in_own_modes
    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes (B, t, h, w, n) to clips, uint8 (B, T, C, H, W).

        Raises:
            ValueError: The codes have another shape, or lie outside 0..V - 1.
        """
        self.check_codes(codes)
        found = [quantizer.lookup(codes[..., i]) for i, quantizer in enumerate(self._books())]
        return to_bytes(2 * self._pictures(torch.cat(found, -1).movedim(-1, 1)))

    @in_own_modes
    def reconstruct(self, frames: Tensor) -> Tensor:
        """Reconstruct clips from their codes, uint8 (B, T, C, H, W)."""
        return self.decode(self.encode(frames))

    def loss(self, frames: Tensor) -> StepOutput:
        """Compute the squared error, divided by the data's variance if `normalise`, plus the commitment of the
        codebooks.

        In training mode, this also updates the codebooks.
        """
        values = self._values(frames)
        vectors, _, commitment, usage = self._quantize(self._vectors(values))
        error = F.mse_loss(self._pictures(vectors).float(), values.float())
        loss = error / self.config.variance if self.config.normalise else error
        nmse = error.detach() / self.config.variance
        figures = {"nmse": nmse, "commitment": commitment.detach(), "perplexity": 2**usage}
        return StepOutput(loss + commitment, figures)

    def alive(self, codes: Tensor) -> float:
        """Share of all codes of all codebooks that occur in codes (..., n)."""
        used = sum(len(codes[..., i].unique()) for i in range(self.config.codebooks))
        return used / (self.config.codebooks * self.config.codes)

    def check_codes(self, codes: Tensor) -> None:
        """Refuse codes that do not fit clips of this model; see `decode`."""
        _, h, w = self.config.grid
        wanted = (h, w, self.config.codebooks)
        if codes.ndim != 5 or tuple(codes.shape[2:]) != wanted or not self._allowed(codes.shape[1], True):
            shape = f"(B, {self._lengths(True)}, {', '.join(map(str, wanted))})"
            raise ValueError(f"Codes have shape {tuple(codes.shape)}; expected {shape}.")
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.config.codes:
            odd = int(codes.min()) if int(codes.min()) < 0 else int(codes.max())
            raise ValueError(f"Codes include {odd}; expected 0..{self.config.codes - 1}.")

    def masked(self, frames: Tensor) -> Tensor:
        """Black out the pixels of `config.mask` in frames (..., H, W) in [-1, 1]."""
        if self.config.mask is None:
            return frames
        top, bottom, left, right = self.config.mask
        frames = frames.clone()
        frames[..., top:bottom, left:right] = -1.0
        return frames

    def _values(self, frames: Tensor) -> Tensor:
        """Convert clips to the model's input, (B, T, C, H, W) in [-0.5, 0.5]."""
        config = self.config
        size = (config.channels, config.image_size, config.image_size)
        if frames.ndim != 5 or tuple(frames.shape[2:]) != size or not self._allowed(frames.shape[1], False):
            shape = f"(B, {self._lengths(False)}, {', '.join(map(str, size))})"
            raise ValueError(f"Clips have shape {tuple(frames.shape)}; expected {shape}.")
        return self.masked(to_unit(frames)) / 2

    def _allowed(self, length: int, codes: bool) -> bool:
        # convolutions over time see where a clip ends; without them, any number of frames is a clip
        return (
            length >= 1 if self.config.per_frame else length == (self.config.grid[0] if codes else self.config.frames)
        )

    def _lengths(self, codes: bool) -> str:
        return "T" if self.config.per_frame else str(self.config.grid[0] if codes else self.config.frames)

    def _vectors(self, values: Tensor) -> Tensor:
        x = self.encoder.sizes(values.movedim(1, 2))
        return self.to_codes(F.relu(self.encoder.residual(x, self.positions)))

    def _quantize(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantized vectors (B, D, t, h, w), their codes, the quantizers' loss, and the bits in use."""
        last = vectors.movedim(1, -1)
        parts = last.chunk(self.config.codebooks, dim=-1)
        found = [quantizer(part) for quantizer, part in zip(self._books(), parts, strict=True)]
        kept, used = [one.codes for one in found if one.codes is not None], [one.usage for one in found]
        vectors = torch.cat([one.vectors for one in found], -1).movedim(-1, 1)
        bits = torch.stack([bits for bits in used if bits is not None]).mean()
        return vectors, torch.stack(kept, -1), torch.stack([one.loss for one in found]).mean(), bits

    def _pictures(self, vectors: Tensor) -> Tensor:
        """Decode vectors (B, D, t, h, w) to clips (B, T, C, H, W) in [-0.5, 0.5]."""
        x = self.decoder.residual(self.from_codes(vectors), self.positions)
        return self.decoder.sizes(x).movedim(2, 1)

    def _books(self) -> Iterator[VQ]:
        return cast(Iterator[VQ], iter(self.quantizers))
