"""The continuous prior: all slots of a decision at once, as vectors (LaMo's heads on FlexLAM's latent actions).

The transformer over time runs once per decision, as in the factored prior. Then each slot adds its own query to the
last state, and a head (`nn.density_heads`) makes its vector: a few steps of a small flow, or a mixture with one draw
for all slots. Slots do not see each other, so a prefix does not depend on its budget. If the latent action model has
codes, vectors are rounded to the nearest one.

Shapes: B batch, T frames, M slots, K budget, d numbers per slot, D width, V codes, C H W frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.continuous.config import ContinuousConfig
from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.factored.trunk import TimePrior
from flexlam_rl.nn.density_heads import build_head
from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.prefix import null_fill
from flexlam_rl.nn.rms_norm import RMSNorm
from flexlam_rl.nn.scale import Scale
from flexlam_rl.nn.streams import normal
from flexlam_rl.nn.transformer import GatedMLP


class _Query(HiddenLayer):
    """Residual feed-forward layer on the sum of state and query of a slot."""

    def __init__(self, width: int, hidden: int, norm_eps: float) -> None:
        super().__init__()
        self.norm, self.mlp = RMSNorm(width, norm_eps), GatedMLP(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x))


class ContinuousPrior(TimePrior):
    """Predicts the slot vectors of every block from all frames and past blocks in its context."""

    config_class = ContinuousConfig

    def __init__(self, config: ContinuousConfig) -> None:
        super().__init__(config)
        # built after the small initial weights above, as the head initializes itself, and the embedding below takes few
        # numbers, whose signal small weights would lose
        self.head = build_head(
            config.head, config.width, config.dim, config.head_width, config.head_blocks, config.components,
            config.entropy,
        )  # fmt: skip
        nn.init.normal_(self.slot_embed.weight, std=config.dim**-0.5)
        # as large as a state, otherwise the slots' queries would hardly differ
        nn.init.normal_(self.query, std=1.0)
        self.scale = Scale(config.slots, config.dim)
        codebook = torch.zeros(config.codes or 0, config.dim)
        self.register_buffer("codebook", codebook)
        self.codebook: Tensor

    def build_past(self) -> None:
        """Make the embedding of past blocks, which embeds each slot and joins all slots in one token."""
        config = self.config
        self.null = nn.Parameter(torch.randn(config.dim) * 0.02)
        self.slot_embed = nn.Linear(config.dim, config.slot_width)
        self.slot_place = nn.Parameter(torch.zeros(config.slots, config.slot_width))
        self.block_embed = nn.Linear(config.slots * config.slot_width, config.width)

    def build_head(self) -> None:
        """Make the slots' queries."""
        config = self.config
        self.query = nn.Parameter(torch.empty(config.slots, config.width))
        self.ask = _Query(config.width, config.ffn, config.norm_eps)
        self.last_norm = RMSNorm(config.width, config.norm_eps)

    def take(self, vectors: Tensor, codebook: Tensor | None) -> None:
        """Store the scale of slot vectors (B, M, d) of the training data, and the vectors (V, d) of all codes."""
        self.scale.fit(vectors)
        if codebook is not None:
            self.codebook.copy_(codebook)

    def vectors(self, latents: Tensor) -> Tensor:
        """Normalize latents, codes (..., m) or vectors (..., m, d), to vectors (..., m, d) at the model's scale."""
        found = latents if self.config.codes is None else self.codebook[latents]
        m = found.shape[-2]
        return (found - self.scale.mean[:m]) / self.scale.deviation[:m]

    def latents(self, vectors: Tensor) -> Tensor:
        """Invert `vectors`: (..., m, d) to the nearest codes int64 (..., m), or to vectors (..., m, d)."""
        m = vectors.shape[-2]
        found = vectors * self.scale.deviation[:m] + self.scale.mean[:m]
        if self.config.codes is None:
            return found
        return torch.cdist(found.flatten(0, -2), self.codebook).argmin(-1).view(found.shape[:-1])

    def embed_blocks(self, latents: Tensor, kept: Tensor | None = None) -> Tensor:
        """Embed blocks, codes (..., m) or vectors (..., m, d) with m <= M, as one token each, (..., D).

        Args:
            latents: First slots of the blocks; the remaining slots are null.
            kept: int (...), the number of slots that count; None for all.
        """
        return self._embed(self.vectors(latents), kept)

    def _embed(self, vectors: Tensor, kept: Tensor | None) -> Tensor:
        given = vectors.shape[-2]
        vectors = F.pad(vectors, (0, 0, 0, self.config.slots - given))
        if kept is None:
            kept = torch.full(vectors.shape[:-2], given, device=vectors.device)
        filled = null_fill(vectors, kept, self.null)
        return self.block_embed(F.gelu(self.slot_embed(filled) + self.slot_place).flatten(-2))

    def features(self, states: Tensor, budget: int) -> tuple[Tensor, Tensor]:
        """Features (B, K, D) of the first `budget` slots, and their summary (B, D), from states (B, D)."""
        asked = states[:, None] + self.query[:budget]
        return self.last_norm(self.ask(asked)), states

    def loss(
        self,
        frames: Tensor,
        latents: Tensor,
        generator: torch.Generator,
        predicted: int | None = None,
        dropped: Dropped | None = None,
        kept: Tensor | None = None,
        noisy: bool = True,
    ) -> Tensor:
        """Loss (B, T) of the first slots of all blocks, each predicted from exactly the context of its decision.

        Args:
            frames: (B, T, C, H, W), or one more frame, which is not used.
            latents: Codes (B, T, M) or vectors (B, T, M, d).
            generator: Source of all randomness of the step.
            predicted: Number of slots of each block that are predicted, from the first; None for all.
            dropped: Frames and blocks that later decisions do not see.
            kept: int (B, T), length of the prefix of each past block that is seen; None for whole blocks.
            noisy: Whether noise is added to past blocks.
        """
        rows, length = latents.shape[:2]
        vectors, frames = self.vectors(latents), frames[:, : latents.shape[1]]
        past = vectors
        if noisy and self.config.noise:
            size = torch.rand(rows, generator=generator, device=generator.device, dtype=torch.float32)
            size = self.config.noise * size.to(past.device)[:, None, None, None]
            past = past + size * normal(past.shape, generator, past.device)
        states = self.states_of(frames, self._embed(past, kept), dropped).flatten(0, 1)
        wanted = vectors[:, :, :predicted].flatten(0, 1)
        features, summary = self.features(states, wanted.shape[1])
        return self.head.losses(features, summary, wanted, generator).view(rows, length)

    def sample(self, states: Tensor, noise: Tensor, choice: Tensor | None, steps: int | None = None) -> Tensor:
        """Generate the latents of blocks, codes (B, K) or vectors (B, K, d).

        Args:
            states: (B, D).
            noise: Standard normal (B, K, d); zeros give the most typical vectors.
            choice: Uniform numbers in [0, 1), (B,), for what all slots share; None for the likeliest.
            steps: Steps of the flow; None for the model's own number.
        """
        features, summary = self.features(states, noise.shape[1])
        return self.latents(self.head.sample(features, summary, noise, choice, steps or self.config.steps).float())
