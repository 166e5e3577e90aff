"""The latent-token sequence model: a Qwen3-style decoder over frame patches and code blocks (paper, section 4.3 and
appendix B).

The transformer's weights have the names of `transformers`' Qwen3Model, so each can load the other's weights.
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
    """Predicts code blocks from frames on the stride and past blocks; frames are inputs, never targets."""

    config_class = SequenceConfig
    compiled_parts = ("transformer",)
    # kept as in the first runs, because a run can only continue with the parameter groups that it began with
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
        # rotary positions give order and distance; this tells which slot a code fills
        self.slot_position = nn.Parameter(torch.randn(config.slots, width) * 0.02)
        self.transformer = CausalTransformer(config.width, config.depth, config.heads, config.ffn, config.norm_eps)
        self.head = nn.Linear(width, config.codes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Embed frames (..., C, H, W) as patch tokens (..., N, D)."""
        lead = frames.shape[:-3]
        images = to_unit(frames.flatten(0, -4))
        tokens = (
            self.patch_embed(patchify(images, self.config.patch) if self.config.stem == "linear" else images)
            + self.patch_position
        )
        return tokens.view(*lead, *tokens.shape[1:])

    def embed_codes(self, codes: Tensor, first: int = 0) -> Tensor:
        """Embed codes (..., m) that fill the slots from `first` on, as (..., m, D)."""
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
        """Make the transformer's input for a window.

        Args:
            frames: (B, T, C, H, W).
            codes: int64 (B, T, M).
            phase: Steps from the last stride frame to the window's first frame.
            predicted: Number of codes of each block that are predicted, from the first; None for all.
            dropped: Frames and blocks that later decisions do not see.
            chosen: int64 (B, T, predicted), codes that decisions chose, if they differ from `codes`, which is the past.

        Returns:
            Embeddings (B, L, D), cosines and sines (L, head_dim), the mask by spans, and the index of the token that
            predicts each code, (T, predicted).
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
        """Logits (B, T, M, V) for every code of every block, each predicted from exactly the context of its decision.

        With `predicted`, (B, T, predicted, V) for only the first codes of every block, which costs less.
        """
        x, cos, sin, mask, predicts = self.tokens(frames, codes, phase, predicted, dropped)
        x = self.transformer(x, cos, sin, mask)
        return self.head(x[:, predicts])

    def decide(self, frames: Tensor, codes: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """States and logits of decisions whose chosen codes differ from those of the transitions that followed.

        Args:
            frames: (B, T, C, H, W); the first frame is on the stride.
            codes: int64 (B, T, M), codes of the transitions that followed, which later decisions see as their past.
            chosen: int64 (B, T, K), first codes that each decision chose.

        Returns:
            States (B, T, D), as `Decoder.observe` gives them, and logits (B, T, K, V) of the chosen codes.
        """
        x, cos, sin, mask, predicts = self.tokens(frames, codes, 0, chosen.shape[-1], None, chosen)
        x = self.transformer(x, cos, sin, mask)[:, predicts]
        return x[:, :, 0], self.head(x)

    def code_states(self, frames: Tensor, codes: Tensor, phase: int = 0) -> tuple[Tensor, Tensor]:
        """States of every decision, as a decoder has them: before its first code, (B, T, D), and where each code is
        predicted, (B, T, M, D). Arguments are as for `forward`.
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
        """Cross-entropy of whole code blocks, (B, T, M) (paper, appendix B.2), or of their first codes only,
        (B, T, predicted).

        `frames` may hold one frame more than `codes` has blocks; that frame is not used.
        """
        logits = self(frames[:, : codes.shape[1]], codes, phase, predicted, dropped)
        return code_losses(logits, codes[..., :predicted])
