"""One update of a pixel expert from a rollout: PPO on what the student drove, cross-entropy to the teacher everywhere.

Shapes: T time, N environments, b environments of a minibatch.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.agents.experts.pixel.network import PixelNetwork
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.scales import Scales, estimate_advantages
from flexlam_rl.agents.experts.pixel.segments import NO_CHOICE, Segments

_CLIP_GRADIENT = 1.0
_VALUE = 0.5


def update(
    network: PixelNetwork,
    optimiser: torch.optim.Optimizer,
    scales: Scales,
    rollout: Segments,
    tasks: np.ndarray,
    weights: np.ndarray,
    recipe: Recipe,
    random: np.random.Generator,
) -> dict[str, float]:
    """Train on a rollout.

    Args:
        network, optimiser, scales: Changed in place.
        rollout: What was played.
        tasks: Number of each environment's task, (N,).
        weights: Of the cross-entropy, per task.
        recipe: Everything else.
        random: Draws the minibatches.

    Returns:
        Means of the losses, and the gradient's norm before it was clipped.

    Raises:
        RuntimeError: A loss is not finite.
    """
    device = next(network.parameters()).device
    which = torch.from_numpy(tasks)
    student = (~rollout.driven)[None].expand_as(rollout.actions)
    values = scales.raw(torch.cat([rollout.values, rollout.last[None]]), which)
    raw = estimate_advantages(rollout.rewards, values, rollout.ends, rollout.after, recipe.discount, recipe.trace)
    returns = raw + values[:-1]
    scales.update(returns, which, student, network.value)
    parts: dict[str, Tensor] = {
        "advantages": scales.advantages(raw, which, student),
        "targets": scales.normal(returns, which),
        "student": student.float(),
        "imitation": torch.from_numpy(weights).float()[which][None] * (rollout.choices != NO_CHOICE),
        **{name: getattr(rollout, name) for name in ("frames", "previous", "begins", "actions", "log_probs")},
        "choices": rollout.choices.clamp_min(0),
    }
    parts = {name: value.to(device) for name, value in parts.items()}
    hidden, which = rollout.hidden.to(device), which.to(device)
    sums: dict[str, float] = {}
    for _ in range(recipe.epochs):
        for rows in np.array_split(random.permutation(recipe.envs), recipe.minibatches):
            picked = torch.from_numpy(rows).to(device)
            batch = {name: value[:, picked] for name, value in parts.items()}
            losses = _losses(network, batch, hidden[picked], which[picked], recipe)
            total = losses["policy"] + _VALUE * losses["value"] + losses["imitation"]
            total = total - recipe.entropy * losses["entropy"]
            if not bool(torch.isfinite(total)):
                raise RuntimeError(f"The loss is {float(total.detach())}; the last saved state is good.")
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            norm = nn.utils.clip_grad_norm_(network.parameters(), _CLIP_GRADIENT)
            optimiser.step()
            for name, value in {**losses, "gradient": norm}.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
    return {name: value / (recipe.epochs * recipe.minibatches) for name, value in sums.items()}


def _losses(
    network: PixelNetwork, batch: dict[str, Any], hidden: Tensor, tasks: Tensor, recipe: Recipe
) -> dict[str, Tensor]:
    """Losses of a minibatch, each a mean over all of its steps."""
    logits, values, _ = network(batch["frames"], batch["previous"], batch["begins"], hidden)
    logs = logits.log_softmax(-1)
    student = batch["student"]
    ratio = (logs.gather(-1, batch["actions"][..., None])[..., 0] - batch["log_probs"]).exp()
    gain = batch["advantages"]
    clipped = ratio.clamp(1.0 - recipe.clip, 1.0 + recipe.clip)
    own = values.gather(-1, tasks[None, :, None].expand(len(values), -1, 1))[..., 0]
    imitation = F.cross_entropy(logits.flatten(0, 1), batch["choices"].flatten(), reduction="none")
    return {
        "policy": -(torch.minimum(ratio * gain, clipped * gain) * student).mean(),
        "value": ((own - batch["targets"]).square() * student).mean(),
        "imitation": (imitation.view_as(gain) * batch["imitation"]).mean(),
        "entropy": (-(logs.exp() * logs).sum(-1) * student).mean(),
    }
