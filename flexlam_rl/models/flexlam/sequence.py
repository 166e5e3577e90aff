"""The latent-token sequence model: a Qwen3-style decoder over frame patches and code blocks (paper, section 4.3 and
appendix B).

The transformer's weights carry the names of `transformers`' Qwen3Model, so either can load the other's.
Shapes: B batch, T frames, M codes per block, N patches per frame, L tokens, D width, V codes, C H W frame.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import SequenceConfig
from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.layout import CODE, layout, without
from flexlam_rl.nn.attention import Span
from flexlam_rl.nn.conv_stem import ConvStem
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.patch_embed import frame_size, patch_count, patchify
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.sampling import code_losses
from flexlam_rl.nn.transformer import CausalTransformer


class SequenceModel(PretrainedModel):
    """Predicts code blocks from sparse frames and past blocks; frames are inputs, never targets."""

    config_class = SequenceConfig
    compiled_parts = ("transformer",)
    # as its first runs had it: a run goes on only with the groups that it began with
    decayed_embeddings = ("code_embed",)

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        patch_count(frame_size(config), config.patch, "sequence model")
        self.config = config
        width = config.width
        self.patch_embed: nn.Module = (
            nn.Linear(config.channels * config.patch**2, width)
            if config.stem == "linear"
            else ConvStem(config.channels, width, config.patch)
        )
        self.patch_position = nn.Parameter(torch.randn(config.patches, width) * 0.02)
        self.code_embed = nn.Embedding(config.codes, width)
        # rotary positions tell order and distance; which slot a code fills is told here
        self.slot_position = nn.Parameter(torch.randn(config.slots, width) * 0.02)
        self.transformer = CausalTransformer(config.width, config.depth, config.heads, config.ffn, config.norm_eps)
        self.head = nn.Linear(width, config.codes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) to patch embeddings (..., N, D)."""
        lead = frames.shape[:-3]
        images = to_unit(frames.flatten(0, -4))
        tokens = (
            self.patch_embed(patchify(images, self.config.patch) if self.config.stem == "linear" else images)
            + self.patch_position
        )
        return tokens.view(*lead, *tokens.shape[1:])

    def embed_codes(self, codes: Tensor, first: int = 0) -> Tensor:
        """Codes (..., m) that fill the slots from `first` on, to embeddings (..., m, D)."""
        return self.code_embed(codes) + self.slot_position[first : first + codes.shape[-1]]

    def tokens(
        self,
        frames: Tensor,
        codes: Tensor,
        phase: int = 0,
        predicted: int | None = None,
        dropped: Dropped | None = None,
        chosen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Span, ...], Tensor]:
        """The window as the transformer takes it.

        Args:
            frames: (B, T, C, H, W).
            codes: int64 (B, T, M).
            phase: Steps from the last stride frame to the window's first frame.
            predicted: How many codes of each block, from the first, are to be predicted; None for all.
            dropped: What later decisions do not see.
            chosen: int64 (B, T, predicted), the codes of the decisions where they are not those of `codes`, the past.

        Returns:
            Embeddings (B, L, D), cosines and sines (L, head_dim), the mask by spans, and which token predicts which
            code, (T, predicted).
        """
        config = self.config
        phase, device = phase % config.stride, str(frames.device)
        lay = layout(
            frames.shape[1], config.slots, config.patches, config.stride, config.frames, phase, device, predicted
        )
        embedded = [self.embed_frames(frames).flatten(1, 2), self.embed_codes(codes).flatten(1, 2)]
        source = lay.source
        if chosen is not None:
            own = len(embedded[0][0]) + len(embedded[1][0]) + lay.frame * chosen.shape[-1] + lay.place
            source = torch.where(lay.branch & (lay.kind == CODE), own, source)
            embedded.append(self.embed_codes(chosen).flatten(1, 2))
        x = torch.cat(embedded, dim=1)[:, source]
        cos, sin = rotary(lay.position, config.width // config.heads, config.rope_theta)
        return x, cos, sin, lay.spans if dropped is None else without(lay, dropped), lay.predicts

    def forward(
        self,
        frames: Tensor,
        codes: Tensor,
        phase: int = 0,
        predicted: int | None = None,
        dropped: Dropped | None = None,
    ) -> Tensor:
        """Logits (B, T, M, V) for every code of every block, each from exactly the context its decision will have.

        With `predicted`, (B, T, predicted, V) for the first codes of every block alone, which costs less.
        """
        x, cos, sin, mask, predicts = self.tokens(frames, codes, phase, predicted, dropped)
        x = self.transformer(x, cos, sin, mask)
        return self.head(x[:, predicts])

    def decide(self, frames: Tensor, codes: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """States and logits of decisions whose codes are not those of the transitions that followed.

        Args:
            frames: (B, T, C, H, W), the first one on the stride.
            codes: int64 (B, T, M), of the transitions that followed: the past of later decisions.
            chosen: int64 (B, T, K), the first codes that each decision chose.

        Returns:
            States (B, T, D), as `Decoder.observe` gives them, and logits (B, T, K, V) of the chosen codes.
        """
        x, cos, sin, mask, predicts = self.tokens(frames, codes, 0, chosen.shape[-1], None, chosen)
        x = self.transformer(x, cos, sin, mask)[:, predicts]
        return x[:, :, 0], self.head(x)

    def code_states(self, frames: Tensor, codes: Tensor, phase: int = 0) -> tuple[Tensor, Tensor]:
        """States of every decision, before its first code (B, T, D) and where each code is predicted (B, T, M, D), as a
        decoder has them; arguments as for `forward`.
        """
        x, cos, sin, mask, predicts = self.tokens(frames, codes, phase)
        steps = self.transformer(x, cos, sin, mask)[:, predicts]
        return steps[:, :, 0], steps

    def loss(
        self,
        frames: Tensor,
        codes: Tensor,
        phase: int = 0,
        predicted: int | None = None,
        dropped: Dropped | None = None,
    ) -> Tensor:
        """Cross-entropy (B, T, M) of complete code blocks (paper, appendix B.2), or (B, T, predicted) of their first
        codes.

        `frames` may hold one frame more than `codes` has blocks; the last one is then unused.
        """
        logits = self(frames[:, : codes.shape[1]], codes, phase, predicted, dropped)
        return code_losses(logits, codes[..., :predicted])
