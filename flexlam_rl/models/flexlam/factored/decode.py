"""Decisions of the factored prior for many environments at once, with a cache of the past (`history`).

Shapes: B rows, M codes per block, K budget, D width, V codes.
"""

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.factored.history import TimeDecoder, TimeState
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.interfaces import Generated
from flexlam_rl.nn.code_head import turn
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.sampling import choose
from flexlam_rl.utils.numbers import whole


class FactoredDecoder(TimeDecoder):
    """Runs a factored prior step by step; arguments are those of `TimeDecoder`."""

    @in_own_modes
    def __init__(self, model: FactoredPrior, cache: torch.dtype | None = None, context: int | None = None) -> None:
        super().__init__(model, cache, context)
        head = model.head
        # what an embedded code adds to the gates, looked up instead of multiplied
        self._gates = head.code(model.code_embed.weight).detach()
        self._slots = head.slot.detach()
        self._recurrent = head.recurrence.gates.weight.detach().t().contiguous()
        self._bias = head.recurrence.gates.bias.detach()
        self._logits = (head.logits.weight * head.norm.weight).detach()

    @in_own_modes
    def generate(
        self,
        state: TimeState,
        hidden: Tensor,
        budget: int,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        draws: Tensor | None = None,
    ) -> Generated:
        """Generate the first `budget` codes of the current block.

        Args:
            state: Not used: all that counts is in `hidden`.
            hidden: What `observe` returned.
            budget: K in 1..M.
            generator: Random stream for sampling; None takes the likeliest code (greedy).
            temperature: Divides the logits when sampling.
            draws: Uniform numbers in [0, 1), (B, K), to sample with instead of a generator: each row then has its own
                random stream.

        Returns:
            Codes and their log-probabilities under the model, (B, K). Codes of a smaller budget are a prefix of a
            larger one's, if they are greedy or sampled with the same `draws`.
        """
        budget = whole(budget, "budget", 1, self.config.slots)
        if generator is not None:
            return Generated(*self._generate(hidden, budget, generator, temperature, draws))
        key = (len(hidden), budget, temperature, None if draws is None else draws.dtype)
        inputs = (hidden,) if draws is None else (hidden, draws)

        def replayed(hidden: Tensor, draws: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return self._generate(hidden, budget, None, temperature, draws)

        return Generated(*self.graphs.run(key, replayed, *inputs))

    def _generate(
        self,
        states: Tensor,
        budget: int,
        generator: torch.Generator | None,
        temperature: float,
        draws: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        head = self.model.head
        inputs = head.state(states)[:, None] + self._slots[:budget]
        hidden = head.begin(states).tanh()
        codes: list[Tensor] = []
        logits: list[Tensor] = []
        for i in range(budget):
            step = inputs[:, i] + self._gates[codes[-1]] if codes else inputs[:, i]
            hidden = turn(step, torch.addmm(self._bias, hidden, self._recurrent), hidden)
            normed = torch.rms_norm(hidden, hidden.shape[-1:], None, head.norm.eps)
            logits.append((normed @ self._logits.t()).float())
            codes.append(choose(logits[-1], generator, temperature, None if draws is None else draws[:, i]))
        chosen = torch.stack(codes, 1)
        return chosen, torch.stack(logits, 1).log_softmax(-1).gather(-1, chosen[..., None])[..., 0]
