"""Priors of one frame's codes given the temporal transformer's output for each place; and TECO's decoder.

Shapes: N frames, P places of the grid, O channels of that output, D width, V codes, g g grid.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.teco.blocks import up
from flexlam_rl.models.teco.config import SpatialConfig, TECOConfig
from flexlam_rl.nn.gpt import GPT
from flexlam_rl.nn.maskgit import draft_and_revise, draw_hidden, masked_loss
from flexlam_rl.nn.sampling import choose, code_losses
from flexlam_rl.nn.streams import Streams
from flexlam_rl.nn.transformer import Block


class MaskPrior(nn.Module):
    """Predicts hidden codes from the shown ones and `told`, which are concatenated at each place (section 3.3).

    Args:
        sizes: Sizes of the transformer.
        codes: V.
        places: P.
        told: O.
        passes: For sampling: passes of the draft, number of revisions, and passes of each revision.
    """

    def __init__(self, sizes: SpatialConfig, codes: int, places: int, told: int, passes: tuple[int, int, int]) -> None:
        super().__init__()
        self.passes = passes
        self.embed = nn.Embedding(codes, sizes.width)
        self.hidden = nn.Parameter(torch.randn(sizes.width) * 0.02)
        self.place = nn.Parameter(torch.randn(places, sizes.width) * 0.02)
        self.joined = nn.Linear(sizes.width + told, sizes.width)
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads, sizes.hidden) for _ in range(sizes.depth))
        self.norm, self.head = nn.LayerNorm(sizes.width), nn.Linear(sizes.width, codes)
        nn.init.normal_(self.embed.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)

    def logits(self, codes: Tensor, hidden: Tensor, told: Tensor) -> Tensor:
        """Logits (N, P, V) of all codes.

        Args:
            codes: (N, P); values of hidden codes do not matter.
            hidden: bool (N, P).
            told: (N, O, g, g).
        """
        x = torch.where(hidden[..., None], self.hidden, self.embed(codes.masked_fill(hidden, 0)))
        x = self.joined(torch.cat([x, told.flatten(2).transpose(1, 2)], dim=-1)) + self.place
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def loss(self, codes: Tensor, told: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the cross-entropy of codes (N, P) that are hidden at random."""
        hidden = draw_hidden(codes.shape[0], codes.shape[1], generator)
        return masked_loss(self.logits(codes, hidden, told), codes, hidden)

    def sample(self, told: Tensor, generator: Streams | None = None) -> Tensor:
        """Sample codes (N, P) by a draft and revisions; without a generator, the likeliest are taken."""
        count = len(self.place)

        def predict(codes: Tensor, hidden: Tensor) -> Tensor:
            return self.logits(codes, hidden, told)

        return draft_and_revise(predict, len(told), count, *self.passes, generator, device=told.device)


class StepPrior(nn.Module):
    """Predicts one code after another, with cross-attention to `told` at each place (section B.6).

    Args:
        sizes: Sizes of the transformer.
        codes: V.
        places: P.
        told: O.
    """

    def __init__(self, sizes: SpatialConfig, codes: int, places: int, told: int) -> None:
        super().__init__()
        width = sizes.width
        self.embed, self.start = nn.Embedding(codes, width), nn.Parameter(torch.randn(width) * 0.02)
        self.place = nn.Parameter(torch.randn(places, width) * 0.02)
        self.told = nn.Linear(told, width)
        self.told_place = nn.Parameter(torch.randn(places, width) * 0.02)
        self.gpt = GPT(width, sizes.depth, sizes.heads, sizes.hidden, memory=True)
        self.head = nn.Linear(width, codes)
        nn.init.normal_(self.embed.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)

    def _mask(self) -> Tensor:
        order = torch.arange(len(self.place), device=self.place.device)
        return order[:, None] >= order[None, :]

    def _memory(self, told: Tensor) -> Tensor:
        memory: Tensor = self.told(told.flatten(2).transpose(1, 2)) + self.told_place
        return memory

    def logits(self, codes: Tensor, told: Tensor) -> Tensor:
        """Logits (N, P, V) of codes (N, P), each given those before it and `told` (N, O, g, g)."""
        before = torch.cat([self.start.expand(len(codes), 1, -1), self.embed(codes[:, :-1])], dim=1)
        x = self.gpt(before + self.place, (self._mask(),), memory=self.gpt.remember(self._memory(told)))
        logits: Tensor = self.head(x)
        return logits

    def loss(self, codes: Tensor, told: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the cross-entropy of codes (N, P); nothing is drawn."""
        return code_losses(self.logits(codes, told), codes).mean()

    def sample(self, told: Tensor, generator: Streams | None = None) -> Tensor:
        """Sample codes (N, P) one after another, with a cache; without a generator, the likeliest are taken."""
        memory, masks = self.gpt.remember(self._memory(told)), (self._mask(),)
        cache = self.gpt.empty(len(told), len(self.place))
        x, codes = self.start.expand(len(told), 1, -1), []
        for i in range(len(self.place)):
            hidden = self.gpt.advance(cache, x + self.place[i : i + 1], i, masks, memory=memory)
            codes.append(choose(self.head(hidden[:, -1]).float(), generator))
            x = self.embed(codes[-1])[:, None]
        return torch.stack(codes, 1)


class Decoder(nn.Module):
    """CNN from a frame's latents and `told`, concatenated along channels, to logits of the VQ-GAN's codes.

    Args:
        config: Configuration of the model.
    """

    def __init__(self, config: TECOConfig) -> None:
        super().__init__()
        channels = config.dim + config.temporal.out
        doublings = len(config.depths) - 1
        self.net = up(channels, config.depths, config.decoder_blocks, config.vqgan.codes, doublings, config.grid)

    def forward(self, latents: Tensor, told: Tensor) -> Tensor:
        """Compute logits (N, V, h, w) from latents (N, C, g, g) and `told` (N, O, g, g)."""
        logits: Tensor = self.net(torch.cat([latents, told], dim=1))
        return logits
