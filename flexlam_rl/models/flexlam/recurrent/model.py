"""The recurrent prior: what the factored one does, with a GRU in place of the transformer over time.

It sees a frame as the small pixel policies do, through three convolutions, and remembers the whole episode in one
vector. Frames and memory cost a sixth of the arithmetic of the factored prior, so in equal time it learns from several
times as many decisions; docs/sequence.md compares the two.

Shapes: B batch, T frames, M codes per block, F features of a frame, G width of the GRU, D width, C H W frame.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.block_prior import BlockPrior
from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.recurrent.config import RecurrentConfig
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.gru import recur
from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.small_vision import convolutions


class _Memory(HiddenLayer):
    """GRU (B, T, F + D) to (B, T, G), with the products that do not depend on the state taken for all steps at once."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.input_gates = nn.Linear(inputs, 3 * width)
        self.hidden_gates = nn.Linear(width, 3 * width)

    def forward(self, inputs: Tensor, begins: Tensor, hidden: Tensor) -> Tensor:
        """Run over inputs (B, T, F + D) from the state (B, G); where bool `begins` (B, T) is true, it is forgotten."""
        own = self.hidden_gates
        gates = self.input_gates(inputs).transpose(0, 1).to(own.weight.dtype)
        with torch.autocast(inputs.device.type, enabled=False):  # a state that lasts keeps its precision
            states = recur(gates, begins.t(), hidden, own.weight, own.bias)
        return states.transpose(0, 1)


class _Project(HiddenLayer):
    """Linear layer from the convolutions' output to features."""

    def __init__(self, given: int, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(given, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layer(x))


class Past(NamedTuple):
    """What a recurrent prior knows before the first frame of a window.

    Attributes:
        memory: State of the GRU, (B, G).
        block: int64 (B, M), codes of the transition that led to the first frame.
        begins: bool (B,), whether there is no past, so that the other two do not count.
    """

    memory: Tensor
    block: Tensor
    begins: Tensor


class RecurrentPrior(BlockPrior, PretrainedModel):
    """Predicts code blocks from all frames and past blocks of an episode."""

    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.vision, size = convolutions(config.channels, config.first, *frame_size(config))
        self.project = _Project(size, config.features)
        self.build_past()
        self.gru = _Memory(config.features + config.width, config.memory)
        self.seen = nn.Linear(config.features, config.width)
        self.build_head()
        for module in (self.block_embed, self.seen, *self.head.modules()):
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        self.begin()

    @property
    def memory(self) -> int:
        """Width of what is known of the past at a decision."""
        return int(self.config.memory)

    def features(self, frames: Tensor) -> Tensor:
        """Compute features (..., F) of frames (..., C, H, W)."""
        flat = frames.flatten(0, -4)
        seen: Tensor = self.project(self.vision(to_unit(flat)))
        return seen.view(*frames.shape[:-3], -1)

    def tokens(self, seen: Tensor, memory: Tensor) -> Tensor:
        """Make the head's token (..., 1, D) of features (..., F) and states (..., G)."""
        return (self.seen(seen) + self.told(memory)).unsqueeze(-2)

    def decide(self, frames: Tensor, codes: Tensor, chosen: Tensor, past: Past | None = None) -> tuple[Tensor, Tensor]:
        """Do as in `BlockPrior`; `past` is what was before the first frames, None for nothing."""
        return self._run(self._tokens(frames, codes, None, None, past), chosen, chosen.shape[-1])

    def _tokens(
        self,
        frames: Tensor,
        codes: Tensor,
        dropped: Dropped | None,
        kept: Tensor | None,
        past: Past | None = None,
    ) -> Tensor:
        seen, blocks = self.features(frames), self.embed_blocks(codes, kept)
        given = seen
        if dropped is not None:
            # a decision sees its own frame past the memory
            given = seen * ~dropped.frames.to(seen.device)[:, None]
            blocks = blocks * ~dropped.blocks.to(seen.device)[:, None]
        before = F.pad(blocks[:, :-1], (0, 0, 1, 0))
        begins = torch.zeros(seen.shape[:2], dtype=torch.bool, device=seen.device)
        start = torch.zeros(len(seen), self.memory, dtype=self.gru.hidden_gates.weight.dtype, device=seen.device)
        if past is not None:
            first = self.embed_blocks(past.block).masked_fill(past.begins[:, None], 0.0)
            before = torch.cat([first[:, None], before[:, 1:]], 1)
            start = past.memory.masked_fill(past.begins[:, None], 0.0)
        return self.tokens(seen, self.gru(torch.cat([given, before.to(given)], -1), begins, start))
