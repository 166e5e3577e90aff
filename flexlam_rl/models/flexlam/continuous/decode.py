"""Decisions of the continuous prior for many environments at once, with a cache of the past (`factored.history`).

Shapes: B rows, M slots, K budget, d numbers per slot, D width.
"""

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.factored.history import TimeDecoder, TimeState
from flexlam_rl.models.interfaces import Generated
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.numbers import whole


class ContinuousDecoder(TimeDecoder):
    """Runs a continuous prior step by step; arguments are those of `TimeDecoder`.

    Attributes:
        steps: Steps of the flow head; fewer are faster, more follow the distribution more closely.
    """

    model: ContinuousPrior

    @in_own_modes
    def __init__(self, model: ContinuousPrior, cache: torch.dtype | None = None, context: int | None = None) -> None:
        super().__init__(model, cache, context)
        self.steps = model.config.steps

    def numbers(self, budget: int) -> int:
        """Uniform numbers per row for the first `budget` slots: one for the block, and d for each slot."""
        return 1 + budget * int(self.config.dim)

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
        """Generate the first `budget` latents of the current block in one pass.

        Args:
            state: Not used; `hidden` holds all that is needed.
            hidden: The output of `observe`.
            budget: K in 1..M.
            generator: Random stream for sampling; None takes the most typical latents.
            temperature: Factor of the noise.
            draws: Uniform numbers in [0, 1), (B, `numbers(K)`), to sample with instead of a generator, so that each row
                has its own random stream.

        Returns:
            Codes (B, K) or vectors (B, K, d), with NaN for their log-probabilities. If latents are the most typical
            ones or sampled with the same `draws`, those of a smaller budget are a prefix of those of a larger one.
        """
        budget = whole(budget, "budget", 1, self.config.slots)
        if generator is not None and draws is None:
            shape = (len(hidden), self.numbers(budget))
            draws = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
            draws = draws.to(hidden.device)
        key = (len(hidden), budget, self.steps, temperature, None if draws is None else draws.dtype)
        inputs = (hidden,) if draws is None else (hidden, draws)

        def replayed(hidden: Tensor, draws: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return self._generate(hidden, budget, temperature, draws)

        return Generated(*self.graphs.run(key, replayed, *inputs))

    def _generate(self, states: Tensor, budget: int, temperature: float, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        shape = (len(states), budget, self.config.dim)
        noise, choice = torch.zeros(shape, device=states.device), None
        if draws is not None:
            choice = draws[:, 0]
            # the centers of float32's steps in [0, 1), because 0 and 1 themselves are infinitely far out
            inside = draws[:, 1 : self.numbers(budget)].double().clamp(2.0**-25, 1 - 2.0**-25)
            noise = temperature * torch.special.ndtri(inside).float().view(shape)
        latents = self.model.sample(states, noise, choice, self.steps)
        return latents, torch.full(shape[:2], torch.nan, device=states.device)
