"""The factored prior: separate transformers for time and for the codes of a block.

The paper's sequence model runs every code through the whole transformer, so a decision with K codes takes K passes, and
a past block occupies M tokens of the context. Here, a frame is one to four tokens and a past block is one. The large
transformer runs once per decision. A small one behind it (`nn.code_head`) sees the newest frame's tokens and the large
one's output for them, and predicts the block's codes one after another.

Shapes: B batch, T frames, N tokens per frame, D width.
"""

from torch import Tensor

from flexlam_rl.models.flexlam.block_prior import BlockPrior
from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.factored.config import FactoredConfig
from flexlam_rl.models.flexlam.factored.trunk import TimePrior


class FactoredPrior(BlockPrior, TimePrior):
    """Predicts code blocks from all frames and past blocks in its context."""

    config_class = FactoredConfig

    def __init__(self, config: FactoredConfig) -> None:
        super().__init__(config)
        self.begin()

    def _tokens(self, frames: Tensor, codes: Tensor, dropped: Dropped | None, kept: Tensor | None) -> Tensor:
        """Tokens that the head sees at each decision, (B, T, N, D)."""
        seen = self.embed_frames(frames)
        return seen + self.told(self.run_over(seen, self.embed_blocks(codes, kept), dropped))
