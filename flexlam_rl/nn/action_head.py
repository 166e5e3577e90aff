"""Actions as models take and predict them: one categorical per discrete dimension, one number per continuous one.

Shapes: B batch, A sum of all discrete choices, G continuous dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.envs.spec import ActionSpec

NO_ACTION = -1
"""Previous action of an episode's first step, in every discrete dimension."""


def action_inputs(spec: ActionSpec) -> int:
    """Numbers that `embed_actions` gives for one action."""
    return sum(n + 1 for n in spec.discrete) + spec.continuous


def embed_actions(actions: Tensor, spec: ActionSpec) -> Tensor:
    """Actions (B, discrete + continuous) to one-hot vectors, with one place more per dimension for "no action yet"
    (-1), and plain numbers.
    """
    parts = [F.one_hot(actions[:, i].long() + 1, n + 1).float() for i, n in enumerate(spec.discrete)]
    if spec.continuous:
        parts.append(actions[:, len(spec.discrete) :].float())
    return torch.cat(parts, dim=-1)


def action_outputs(spec: ActionSpec) -> int:
    """Numbers a head puts out: logits of all discrete choices, then the continuous values."""
    return sum(spec.discrete) + spec.continuous


def action_losses(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> Tensor:
    """Loss of each example (B,): cross-entropy of each discrete dimension plus squared error of each continuous one."""
    loss = torch.zeros(len(outputs), device=outputs.device, dtype=torch.float32)
    start = 0
    for i, n in enumerate(spec.discrete):
        loss = loss + F.cross_entropy(outputs[:, start : start + n].float(), actions[:, i].long(), reduction="none")
        start += n
    if spec.continuous:
        loss = loss + (outputs[:, start:].float() - actions[:, len(spec.discrete) :].float()).square().sum(dim=-1)
    return loss


def choose_actions(outputs: Tensor, spec: ActionSpec, generator: torch.Generator | None = None) -> Tensor:
    """Actions (B, discrete + continuous) from a head's outputs: the likeliest choices, or drawn where a generator is
    given.

    The result is int64 where all dimensions are discrete, else float32.
    """
    parts: list[Tensor] = []
    start = 0
    for n in spec.discrete:
        logits = outputs[:, start : start + n].float()
        chosen = (
            logits.argmax(-1, keepdim=True)
            if generator is None
            else torch.multinomial(logits.softmax(-1), 1, generator=generator)
        )
        parts.append(chosen)
        start += n
    if spec.continuous:
        return torch.cat([p.float() for p in parts] + [outputs[:, start:].float()], dim=-1)
    return torch.cat(parts, dim=-1)


def action_recalls(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> dict[tuple[int, ...], float]:
    """Give the share of examples that are recognized, of each action among them.

    Args:
        outputs: Of a head, (B, A + G).
        actions: (B, discrete + continuous); those that differ in a discrete dimension are different ones.
        spec: What they consist of.
    """
    count = len(spec.discrete)
    true, found = actions[:, :count].long(), choose_actions(outputs, spec)[:, :count].long()
    kinds, which = true.unique(dim=0, return_inverse=True)
    right = (true == found).all(-1).double()
    shares = torch.zeros(len(kinds), dtype=torch.float64, device=right.device).index_add_(0, which, right)
    shares = shares / torch.bincount(which, minlength=len(kinds))
    return {tuple(kind): share for kind, share in zip(kinds.tolist(), shares.tolist(), strict=True)}
