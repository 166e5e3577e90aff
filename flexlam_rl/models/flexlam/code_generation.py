"""Generation of a block's codes one after another, shared by all decoders of discrete codes.

Shapes: B rows, K budget, M codes per block, D width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.adaptive.rules import Stops
from flexlam_rl.models.interfaces import Generated
from flexlam_rl.nn.cuda_graphs import CudaGraphs
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.sampling import choose
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

    @in_own_modes
    def log_probs(self, state: Any, hidden: Tensor, codes: Tensor) -> Tensor:
        """Compute log-probabilities (B, K) of given codes, int64 (B, K), as the first ones of the current block.

        State and hidden are as for `generate`; K lies in 1..M.
        """
        budget = whole(codes.shape[1], "the number of codes", 1, self.config.slots)
        return self._generate(state, hidden, budget, None, 1.0, None, given=codes)[1]

    def _generate(
        self,
        state: Any,
        hidden: Tensor,
        budget: int,
        generator: torch.Generator | None,
        temperature: float,
        draws: Tensor | None,
        stops: Stops | None = None,
        given: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Codes, drawn or `given`, and their log-probabilities, each (B, K), or fewer where `stops` ends all rows."""
        step = self._stepper(state)
        codes: list[Tensor] = []
        logits: list[Tensor] = []
        for i in range(budget):
            scores = self._logits(hidden).float()
            if stops is not None and stops.before(i, scores):
                break
            logits.append(scores)
            drawn = None if draws is None else draws[:, i]
            codes.append(choose(scores, generator, temperature, drawn) if given is None else given[:, i])
            if stops is not None and stops.after(i + 1, hidden, codes[-1]):
                break
            if i + 1 < budget:
                hidden = step(codes[-1], i)
        chosen = torch.stack(codes, 1)
        return chosen, torch.stack(logits, 1).log_softmax(-1).gather(-1, chosen[..., None])[..., 0]

    @abstractmethod
    def _logits(self, hidden: Tensor) -> Tensor:
        """Logits (B, V) of the code that is predicted from states (B, D)."""

    @abstractmethod
    def _stepper(self, state: Any) -> Callable[[Tensor, int], Tensor]:
        """Make the function that takes code i of every row, int64 (B,), and i, and gives the states (B, D) from which
        the next code is predicted.
        """

    @abstractmethod
    def _read(self, state: Any) -> tuple[Tensor, ...]:
        """Tensors of the state that generation reads or writes."""
