"""Generation of a block's codes one after another, shared by all decoders of discrete codes.

Shapes: B rows, K budget, M codes per block, D width.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.adaptive.rules import Stops
from flexlam_rl.models.interfaces import Generated
from flexlam_rl.nn.cuda_graphs import CudaGraphs
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.numbers import whole


class CodeGenerator(ABC):
    """Generates codes from the output of a decoder's `observe`. On a GPU, generation is recorded as a CUDA graph, once
    per state and budget.
    """

    config: Any
    graphs: CudaGraphs

    @in_own_modes
    def generate(
        self,
        state: Any,
        hidden: Tensor,
        budget: int,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        draws: Tensor | None = None,
        stops: Stops | None = None,
    ) -> Generated:
        """Generate the first `budget` codes of the current block.

        Args:
            state: History after `observe`; the cached past is not changed.
            hidden: The output of `observe`.
            budget: K in 1..M.
            generator: Random stream for sampling; None takes the likeliest code (greedy).
            temperature: Divisor of the logits when sampling.
            draws: Uniform numbers in [0, 1), (B, K), to sample with instead of a generator, so that each row has its
                own random stream.
            stops: Stops each row early; generation ends when all rows have stopped, and no graph is recorded.

        Returns:
            Codes and their log-probabilities under the model, (B, K). If codes are greedy or sampled with the same
            `draws`, those of a smaller budget are a prefix of those of a larger one.

        Raises:
            ValueError: The budget is out of range.
        """
        budget = whole(budget, "budget", 1, self.config.slots)
        if stops is not None:
            found = self._generate(state, hidden, budget, generator, temperature, draws, stops)
            return Generated(*found, stops.lengths, stops.estimates[:, : found[0].shape[1]])
        if generator is not None:
            return Generated(*self._generate(state, hidden, budget, generator, temperature, draws))
        # a recorded graph keeps the addresses of the tensors that it reads and changes
        places = tuple(part.data_ptr() for part in self._read(state))
        key = (places, len(hidden), budget, temperature, None if draws is None else draws.dtype)
        inputs = (hidden,) if draws is None else (hidden, draws)

        def replayed(hidden: Tensor, draws: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return self._generate(state, hidden, budget, None, temperature, draws)

        return Generated(*self.graphs.run(key, replayed, *inputs))

    @abstractmethod
    def _generate(
        self,
        state: Any,
        hidden: Tensor,
        budget: int,
        generator: torch.Generator | None,
        temperature: float,
        draws: Tensor | None,
        stops: Stops | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Codes and their log-probabilities, each (B, K), or fewer where `stops` ends all rows."""

    @abstractmethod
    def _read(self, state: Any) -> tuple[Tensor, ...]:
        """Tensors of the state that generation reads or writes."""
