"""ElasticTok: an autoencoder of blocks of frames whose codes may be cut after any length (dissertation, chapter 4).

Shapes: B clips, T frames, C H W frame, n blocks of N tokens, L = n N tokens, d numbers per code, D width.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.elastictok.config import ElasticTokConfig
from flexlam_rl.models.elastictok.trunk import Trunk, check_clips, numbers_per_token, to_clips, to_tokens
from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.nn.frames import to_bytes, to_unit
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.prefix import null_fill, retained, sample_prefix_lengths
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.quantizers import Quantized, build_quantizer
from flexlam_rl.utils.numbers import whole

PictureLoss = Callable[[Tensor, Tensor], Tensor]
"""Differentiable distance between pictures, (B, C, H, W) each, about in [-1, 1], as a scalar."""


class Coded(NamedTuple):
    """Result of the encoder for clips.

    Attributes:
        quantized: Vectors (B, L, d) and codes (B, L) of all slots.
        kept: (B, L, d), with nulls after each block's length.
    """

    quantized: Quantized
    kept: Tensor


class ElasticTok(PretrainedModel):
    """Encodes clips as latents with a chosen length per block, and decodes them.

    Latents are codes, int64 (B, n, N), or, with a continuous bottleneck, vectors, float (B, n, N, d). Lengths, int64
    (B, n) or one number for all blocks, lie in `config.least`..`config.longest`.
    """

    config_class = ElasticTokConfig
    compiled_parts = ("encoder", "decoder")

    def __init__(self, config: ElasticTokConfig) -> None:
        super().__init__()
        self.config = config
        self.quantizer = build_quantizer(config.quantizer, config.quantizer_arguments())
        numbers, width, dim = numbers_per_token(config), config.width, self.quantizer.dim
        self.encoder = Trunk(numbers, config)
        # marks for the encoder which slots will be kept
        self.kept = nn.Embedding(2, width)
        nn.init.normal_(self.kept.weight, std=0.02)
        self.to_codes = nn.Linear(width, self.quantizer.inputs)
        # FSQ's vectors lie in [-1, 1]; a linear layer can tell a null outside that range from every code
        self.null = nn.Parameter(torch.full((dim,), 1.5) + 0.1 * torch.randn(dim))
        self.decoder = Trunk(dim, config)
        self.to_pixels = nn.Linear(width, numbers)
        # a baseline that always keeps all tokens never uses its null or the mark of dropped slots
        self.null.requires_grad_(config.least < config.tokens)
        if self.null.device.type != "meta":  # some quantizers make their tables on the CPU
            self.quantizer.to(self.null.device)

    def sample_lengths(self, rows: int, blocks: int, generator: torch.Generator) -> Tensor:
        """Draw lengths (rows, blocks) for training, independent for each block and uniform over the allowed ones."""
        config = self.config
        return sample_prefix_lengths(rows * blocks, config.longest, generator, least=config.least).view(rows, blocks)

    def loss(
        self,
        frames: Tensor,
        generator: torch.Generator,
        lengths: Tensor | None = None,
        perceptual: PictureLoss | None = None,
    ) -> StepOutput:
        """Compute the squared error of reconstructed clips (B, T, C, H, W) from cut latents, plus the bottleneck's
        loss.

        Args:
            frames: Clips as uint8, or float in [-1, 1].
            generator: Random stream of the lengths, and of the noise of a continuous bottleneck.
            lengths: Lengths (B, n); None draws them.
            perceptual: Distance that is added to the loss; None for none.
        """
        blocks = frames.shape[1] // self.config.frames
        if lengths is None:
            lengths = self.sample_lengths(len(frames), blocks, generator)
        tokens = to_tokens(frames, self.config)
        coded = self.code(tokens, lengths, generator)
        made = self.pixels(self.decoder(coded.kept)).float()
        error = F.mse_loss(made, tokens)
        loss = error + coded.quantized.loss
        figures = {"error": error.detach(), "length": lengths.float().mean()}
        if coded.quantized.usage is not None:
            figures["bits"] = coded.quantized.usage
        if perceptual is not None:
            apart = perceptual(to_clips(made, self.config).flatten(0, 1), to_unit(frames).flatten(0, 1))
            loss, figures["perceptual"] = loss + apart, apart.detach()
        return StepOutput(loss, figures)

    def marks(self, lengths: Tensor) -> Tensor:
        """Embeddings (B, L, D) that tell the encoder which slots lengths (B, n) keep."""
        return self.kept(retained(lengths, self.config.tokens).long()).flatten(1, 2)

    def code(self, tokens: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Coded:
        """Encode patches (B, L, P) as latents of lengths (B, n), with gradients."""
        return self.cut(self.encoder(tokens, self.marks(lengths)), lengths, generator)

    def cut(self, hidden: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Coded:
        """Quantize the encoder's hidden states (B, L, D), and keep the prefixes of lengths (B, n) in the blocks."""
        quantized = self.quantizer(self.to_codes(hidden).float(), generator)
        blocks = quantized.vectors.unflatten(1, (-1, self.config.tokens))
        return Coded(quantized, self.cut_vectors(blocks, lengths))

    def cut_vectors(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Keep prefixes of lengths (B, n) in vectors (B, n, N, d); the rest becomes null, (B, L, d)."""
        return null_fill(vectors, lengths, self.null).flatten(1, 2)

    def pixels(self, hidden: Tensor) -> Tensor:
        """Compute patches (B, L, P), about in [-1, 1], from the decoder's hidden states (B, L, D)."""
        return self.to_pixels(hidden)

    @in_own_modes
    def encode(self, frames: Tensor, lengths: Tensor | int) -> Tensor:
        """Encode clips (B, T, C, H, W) as latents. Values after a block's length have no meaning.

        Raises:
            ValueError: The clips or lengths do not fit this model.
        """
        check_clips(frames, self.config)
        lengths = self.checked_lengths(lengths, len(frames), frames.shape[1] // self.config.frames)
        return self.latents(self.code(to_tokens(frames, self.config), lengths).quantized)

    def latents(self, quantized: Quantized) -> Tensor:
        """Latents from the quantizer's result for (B, L)."""
        found = quantized.vectors if quantized.codes is None else quantized.codes
        return found.unflatten(1, (-1, self.config.tokens))

    @in_own_modes
    def decode(self, latents: Tensor, lengths: Tensor | int) -> Tensor:
        """Decode latents, with the given length kept in each block, to clips, uint8 (B, T, C, H, W).

        Raises:
            ValueError: The latents or lengths do not fit this model.
        """
        vectors = self._vectors(latents)
        lengths = self.checked_lengths(lengths, *latents.shape[:2])
        return to_bytes(to_clips(self.pixels(self.decoder(self.cut_vectors(vectors, lengths))), self.config))

    @in_own_modes
    def reconstruct(self, frames: Tensor, lengths: Tensor | int) -> Tensor:
        """Reconstruct clips at the given lengths, float (B, T, C, H, W), about in [-1, 1].

        Raises:
            ValueError: The clips or lengths do not fit this model.
        """
        check_clips(frames, self.config)
        lengths = self.checked_lengths(lengths, len(frames), frames.shape[1] // self.config.frames)
        coded = self.code(to_tokens(frames, self.config), lengths)
        return to_clips(self.pixels(self.decoder(coded.kept)), self.config)

    def checked_lengths(self, lengths: Tensor | int, rows: int, blocks: int) -> Tensor:
        """Convert lengths to int64 (rows, blocks).

        Raises:
            ValueError: They have another shape or type, or are outside the range of the model's training.
        """
        least, most, device = self.config.least, self.config.longest, self.null.device
        if not isinstance(lengths, Tensor):
            return torch.full((rows, blocks), whole(lengths, "length", least, most), device=device)
        if lengths.dtype != torch.int64 or lengths.shape != (rows, blocks):
            found = f"type {lengths.dtype} and shape {tuple(lengths.shape)}"
            raise ValueError(f"Lengths have {found}; expected int64 ({rows}, {blocks}), one per block.")
        if bool(((lengths < least) | (lengths > most)).any()):
            odd = lengths[(lengths < least) | (lengths > most)][0]
            raise ValueError(f"Lengths include {int(odd)}; this model keeps {least} to {most} tokens per block.")
        return lengths.to(device)

    def _vectors(self, latents: Tensor) -> Tensor:
        """Vectors (B, n, N, d) of latents."""
        config, codes = self.config, self.quantizer.codes
        tail = (config.tokens,) if codes is not None else (config.tokens, self.quantizer.dim)
        if latents.shape[2:] != tail or latents.ndim < 3 or not 1 <= latents.shape[1] <= config.blocks:
            shape = f"(B, 1 to {config.blocks} blocks, {', '.join(map(str, tail))})"
            raise ValueError(f"Latents have shape {tuple(latents.shape)}; expected {shape}.")
        if codes is None:
            if not latents.is_floating_point():
                raise ValueError(f"Latents have type {latents.dtype}; expected vectors, float.")
            return latents.float()
        if latents.dtype != torch.int64:
            raise ValueError(f"Latents have type {latents.dtype}; expected codes, int64.")
        if latents.numel() and not 0 <= int(latents.min()) <= int(latents.max()) < codes:
            odd = int(latents.min()) if int(latents.min()) < 0 else int(latents.max())
            raise ValueError(f"Codes include {odd}; expected 0..{codes - 1}.")
        return self.quantizer.lookup(latents)


def squared_error(truth: Tensor, rebuilt: Tensor) -> Tensor:
    """Compute the mean squared error per clip, (B,), of frames (B, T, C, H, W) with values in [-1, 1]."""
    return (to_unit(rebuilt).clamp(-1, 1) - to_unit(truth)).square().flatten(1).mean(1)
