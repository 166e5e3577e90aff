"""The context transformer, from past motion and the current state to one feature per token to predict (LaMo, section
4.2).

Attention is full. Embeddings are sums of factors: the time, the level, the patch or motion token, and the kind of
token.
Shapes: B rows, K past motions, L levels, N patches, S motion tokens, P tokens per level to predict, D width.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.lamo.config import LaMoConfig
from flexlam_rl.nn.transformer import Block

_SCALE = 0.02


class ContextTransformer(nn.Module):
    """Transformer with learned queries among the context's tokens, and one query for a summary if the head needs one.

    Args:
        config: Configuration of the model.
        outputs: P.
    """

    def __init__(self, config: LaMoConfig, outputs: int) -> None:
        super().__init__()
        own, width = config.midway, config.width
        self.motion = nn.Linear(own.motion_dim, width) if config.predict == "motion" else None
        self.state = nn.Linear(own.width, width)
        self.time = nn.Parameter(torch.randn(config.history + 1, 1, 1, width) * _SCALE)
        self.level = nn.Parameter(torch.randn(own.levels, 1, width) * _SCALE)
        self.patch = nn.Parameter(torch.randn(own.patches, width) * _SCALE)
        # the baseline has no motion tokens, so embeddings for them would not be trained
        self.token = nn.Parameter(torch.randn(own.tokens, width) * _SCALE) if self.motion is not None else None
        self.role = nn.Parameter(torch.randn(3, width) * _SCALE)
        self.query = nn.Parameter(torch.randn(own.levels, outputs, width) * _SCALE)
        self.summary = nn.Parameter(torch.randn(1, width) * _SCALE) if config.head == "mixture" else None
        self.layers = nn.ModuleList(Block(width, config.heads, config.hidden) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, states: Tensor, motion: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compute features (B, L P, D) and summary (B, D), which is zero if there is no query for it.

        Args:
            states: The current state, (B, 1, L, N, d), or also past states before it, (B, K + 1, L, N, d).
            motion: Past motion, (B, K, L, S, m); None for the baseline.
        """
        rows, seen = states.shape[:2]
        placed = self.state(states) + self.time[-seen:] + self.level + self.patch + self.role[0]
        parts = [placed.flatten(1, 3)]
        if motion is not None and self.motion is not None and self.token is not None:
            past = self.motion(motion) + self.time[:-1] + self.level + self.token + self.role[1]
            parts.insert(0, past.flatten(1, 3))
        index = self.patch if self.token is None else self.token
        queries = (self.query + self.level + index + self.role[2]).flatten(0, 1)
        if self.summary is not None:
            queries = torch.cat([queries, self.summary])
        x = torch.cat([*parts, queries.expand(rows, -1, -1)], dim=1)
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x[:, -len(queries) :])
        if self.summary is None:
            return x, torch.zeros_like(x[:, 0])
        return x[:, :-1], x[:, -1]
