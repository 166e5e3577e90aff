"""One update of a prior from a rollout: PPO on the codes that it drew.

Shapes: N environments, T steps, D decisions of a minibatch, K budget, V codes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from flexlam_rl.agents.experts.pixel.scales import Scales, estimate_advantages
from flexlam_rl.agents.experts.pixel.update import CLIP_GRADIENT, VALUE, surrogate
from flexlam_rl.agents.finetune.contexts import Context
from flexlam_rl.agents.finetune.play import PriorSegments
from flexlam_rl.agents.finetune.recipe import PriorRecipe
from flexlam_rl.agents.finetune.windows import Windows, windows
from flexlam_rl.models.flexlam.priors import CodePrior
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior


class Learner:
    """A prior and a value head in training, with their optimizer.

    Args:
        prior: The prior that draws the codes.
        value: Layer that predicts normalized values per task from the prior's states.
        anchor: The prior that the training started from, from which divergence is penalized; None for no penalty.
        recipe: Options of the training.
    """

    def __init__(self, prior: CodePrior, value: nn.Linear, anchor: CodePrior | None, recipe: PriorRecipe) -> None:
        self.prior, self.value, self.anchor, self.recipe = prior, value, anchor, recipe
        self.optimiser = torch.optim.Adam([*prior.parameters(), *value.parameters()], recipe.learning_rate, eps=1e-5)

    def update(
        self,
        scales: Scales,
        rollout: PriorSegments,
        context: Context,
        tasks: np.ndarray,
        random: np.random.Generator,
        values_only: bool,
    ) -> dict[str, float]:
        """Train on a rollout.

        Args:
            scales: Scales of values and advantages, changed in place.
            rollout: The rollout to learn from.
            context: What was before the rollout.
            tasks: Number of each environment's task, (N,).
            random: Generator that draws the minibatches.
            values_only: Whether to train only the values, and not the prior.

        Returns:
            Means of the losses, and of the gradient's norm before clipping.

        Raises:
            RuntimeError: A loss is not finite.
        """
        recipe, which = self.recipe, torch.from_numpy(tasks)
        values = scales.raw(torch.cat([rollout.values, rollout.last[None]]), which)
        raw = estimate_advantages(rollout.rewards, values, rollout.ends, rollout.after, recipe.discount, recipe.trace)
        returns, counts = raw + values[:-1], torch.ones_like(rollout.ends)
        scales.update(returns, which, counts, self.value)
        parts = {
            "gain": scales.advantages(raw, which, counts),
            "targets": scales.normal(returns, which),
            "before": rollout.log_probs,
            "tasks": which.expand_as(rollout.ends),
        }
        flat = {name: part.flatten() for name, part in parts.items()}
        sums: dict[str, float] = {}
        for _ in range(recipe.epochs):
            for rows in np.array_split(random.permutation(recipe.envs), recipe.minibatches):
                losses = self._losses(rollout, context, flat, rows.tolist(), values_only)
                total = VALUE * losses["value"]
                if not values_only:
                    total = total + losses["policy"] - recipe.entropy * losses["entropy"]
                    total = total + recipe.anchor * losses.get("anchor", 0.0)
                if not bool(torch.isfinite(total)):
                    raise RuntimeError(f"The loss is {float(total.detach())}; the last saved state is good.")
                self.optimiser.zero_grad(set_to_none=True)
                total.backward()
                norm = nn.utils.clip_grad_norm_([*self.prior.parameters(), *self.value.parameters()], CLIP_GRADIENT)
                self.optimiser.step()
                for name, value in {**losses, "gradient": norm}.items():
                    sums[name] = sums.get(name, 0.0) + float(value.detach())
        return {name: value / (recipe.epochs * recipe.minibatches) for name, value in sums.items()}

    def _losses(
        self, rollout: PriorSegments, context: Context, flat: dict[str, Tensor], rows: Sequence[int], values_only: bool
    ) -> dict[str, Tensor]:
        """Compute the losses of the windows of some rows, each as a mean over their decisions."""
        device = self.value.weight.device
        cut = windows(context, rollout.frames, rollout.blocks, rollout.chosen, rollout.cuts[:, :-1], rows)
        known = cut.steps >= 0
        own = {name: part[cut.steps[known]].to(device) for name, part in flat.items()}
        cut, known = cut.to(device), known.to(device)
        with torch.set_grad_enabled(not values_only):
            states, logits = _decide(self.prior, cut)
            logs = logits[known].float().log_softmax(-1)
            log_probs = logs.gather(-1, cut.chosen[known][..., None])[..., 0].sum(1)
        values = self.value(states[known])
        losses = {
            "policy": -surrogate(log_probs, own["before"], own["gain"], self.recipe.clip).mean(),
            "value": (values.gather(1, own["tasks"][:, None])[:, 0] - own["targets"]).square().mean(),
            "entropy": -(logs.exp() * logs).sum((1, 2)).mean(),
            "moved": (log_probs - own["before"]).abs().mean(),
        }
        if self.anchor is not None:
            with torch.no_grad():
                first = _decide(self.anchor, cut)[1][known].float().log_softmax(-1)
            losses["anchor"] = (logs.exp() * (logs - first)).sum((1, 2)).mean()
        return losses


def _decide(prior: CodePrior, cut: Windows) -> tuple[Tensor, Tensor]:
    """States and logits of a prior for windows."""
    if isinstance(prior, RecurrentPrior):
        return prior.decide(cut.frames, cut.blocks, cut.chosen, cut.past)
    return prior.decide(cut.frames, cut.blocks, cut.chosen)
