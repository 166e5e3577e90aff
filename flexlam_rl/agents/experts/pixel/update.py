"""One update of a pixel expert from a rollout: PPO where the student drove, cross-entropy to the teacher everywhere.

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

CLIP_GRADIENT = 1.0
VALUE = 0.5


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
        network, optimiser, scales: What is trained, changed in place.
        rollout: The rollout to learn from.
        tasks: Number of each environment's task, (N,).
        weights: Weight of the cross-entropy to the teacher, per task.
        recipe: All other options.
        random: Generator that draws the minibatches.

    Returns:
        Means of the losses, and of the gradient's norm before clipping.

    Raises:
        RuntimeError: A loss is not finite.
    """
    device = next(network.parameters()).device
    which = torch.from_numpy(tasks)
    student = (~rollout.driven)[None].expand_as(rollout.rewards)
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
    if rollout.anchor is not None:
        parts["anchor"] = rollout.anchor
    parts = {name: value.to(device) for name, value in parts.items()}
    hidden, which = rollout.hidden.to(device), which.to(device)
    sums: dict[str, float] = {}
    for _ in range(recipe.epochs):
        for rows in np.array_split(random.permutation(recipe.envs), recipe.minibatches):
            picked = torch.from_numpy(rows).to(device)
            batch = {name: value[:, picked] for name, value in parts.items()}
            losses = _losses(network, batch, hidden[picked], which[picked], recipe)
            total = losses["policy"] + VALUE * losses["value"] + losses["imitation"]
            total = total - recipe.entropy * losses["entropy"]
            if "anchor" in losses:
                total = total + recipe.anchor * losses["anchor"]
            if not bool(torch.isfinite(total)):
                raise RuntimeError(f"The loss is {float(total.detach())}; the last saved state is good.")
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            norm = nn.utils.clip_grad_norm_(network.parameters(), CLIP_GRADIENT)
            optimiser.step()
            for name, value in {**losses, "gradient": norm}.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
    return {name: value / (recipe.epochs * recipe.minibatches) for name, value in sums.items()}


def _losses(
    network: PixelNetwork, batch: dict[str, Any], hidden: Tensor, tasks: Tensor, recipe: Recipe
) -> dict[str, Tensor]:
    """Compute the losses of a minibatch, each as a mean over all of its steps."""
    logits, values, _ = network(batch["frames"], batch["previous"], batch["begins"], hidden)
    logs = logits.log_softmax(-1)
    student = batch["student"]
    chosen = network.together(logs.gather(-1, batch["actions"][..., None])[..., 0])
    gain = batch["advantages"]
    own = values.gather(-1, tasks[None, :, None].expand(len(values), -1, 1))[..., 0]
    imitation = torch.zeros_like(gain)
    if batch["imitation"].any():
        imitation = F.cross_entropy(logits.flatten(0, 1), batch["choices"].flatten(), reduction="none").view_as(gain)
    losses = {
        "policy": -(surrogate(chosen, batch["log_probs"], gain, recipe.clip) * student).mean(),
        "value": ((own - batch["targets"]).square() * student).mean(),
        "imitation": (imitation * batch["imitation"]).mean(),
        "entropy": (-network.together((logs.exp() * logs).sum(-1)) * student).mean(),
    }
    if "anchor" in batch:
        losses["anchor"] = (network.together((logs.exp() * (logs - batch["anchor"])).sum(-1)) * student).mean()
    return losses


def surrogate(log_probs: Tensor, before: Tensor, gain: Tensor, clip: float) -> Tensor:
    """Compute PPO's clipped objective of each step.

    Args:
        log_probs: Log-probabilities of the actions taken, under the present policy.
        before: Log-probabilities of the same actions, under the policy that played.
        gain: Advantages.
        clip: Largest change of the ratio that is rewarded.
    """
    ratio = (log_probs - before).exp()
    return torch.minimum(ratio * gain, ratio.clamp(1.0 - clip, 1.0 + clip) * gain)
