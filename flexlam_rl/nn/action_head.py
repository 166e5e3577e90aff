"""Actions as models take and predict them: one categorical per discrete dimension, one number per continuous one.

Continuous dimensions are a regression in [-1, 1] by squared error. A translator knows from its codes what happened, so
one action is right and its mean is that action; a density would add a width that few labels cannot tell, and what
varies in play is drawn with the codes. A model that sees the present alone (behaviour cloning) gives the mean of all
that its teacher does there.

Shapes: B batch, A sum of all discrete choices, G continuous dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.envs.action_values import NO_ACTION as NO_ACTION
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.nn.sampling import pick


def no_action(spec: ActionSpec, rows: int, device: torch.device | str = "cpu") -> Tensor:
    """Previous actions (rows, discrete + G) of episodes' first steps: -1 in discrete dimensions, NaN in continuous
    ones.
    """
    row = [float(NO_ACTION)] * len(spec.discrete) + [float("nan")] * spec.continuous
    dtype = torch.float32 if spec.continuous else torch.int64
    return torch.tensor(row, device=device).to(dtype).expand(rows, -1).clone()


def action_inputs(spec: ActionSpec) -> int:
    """Numbers that `embed_actions` gives for one action."""
    return sum(n + 1 for n in spec.discrete) + (spec.continuous + 1 if spec.continuous else 0)


def embed_actions(actions: Tensor, spec: ActionSpec) -> Tensor:
    """Actions (B, discrete + G) to what a layer takes.

    One-hot vectors with one place more per discrete dimension for "no action yet" (-1); continuous numbers, 0 where
    there is no action yet (NaN), and one number that is 1 there.
    """
    parts = [F.one_hot(actions[:, i].long() + 1, n + 1).float() for i, n in enumerate(spec.discrete)]
    if spec.continuous:
        numbers = actions[:, len(spec.discrete) :].float()
        none = numbers.isnan().any(dim=-1, keepdim=True)
        parts += [numbers.masked_fill(none, 0.0), none.float()]
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


def choose_actions(outputs: Tensor, spec: ActionSpec) -> Tensor:
    """The likeliest actions (B, discrete + G) of a head's outputs; continuous ones are kept within [-1, 1].

    The result is int64 where all dimensions are discrete, else float32.
    """
    parts: list[Tensor] = []
    start = 0
    for n in spec.discrete:
        parts.append(outputs[:, start : start + n].float().argmax(-1, keepdim=True))
        start += n
    if spec.continuous:
        numbers = outputs[:, start:].float().clamp(-1.0, 1.0)
        return torch.cat([p.float() for p in parts] + [numbers], dim=-1)
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


def draw_actions(outputs: Tensor, spec: ActionSpec, numbers: Tensor, temperature: float = 1.0) -> Tensor:
    """Actions as `choose_actions` gives them, with discrete dimensions drawn.

    Args:
        outputs: Of the head.
        spec: Of the actions.
        numbers: Uniform in [0, 1), (B, discrete): a row's choices depend on its own alone.
        temperature: Divides the logits.
    """
    actions, start = choose_actions(outputs, spec), 0
    for i, n in enumerate(spec.discrete):
        actions[:, i] = pick(outputs[:, start : start + n], numbers[:, i], temperature).to(actions.dtype)
        start += n
    return actions


def action_figures(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> dict[str, Tensor]:
    """How well actions are hit, (B,) each.

    Returns:
        "accuracy": whether all discrete dimensions are right, where there are any. "error": mean absolute error of the
        continuous ones, in units of half their range, where there are any.
    """
    chosen, discrete = choose_actions(outputs, spec), len(spec.discrete)
    figures = {}
    if discrete:
        figures["accuracy"] = (chosen[:, :discrete].long() == actions[:, :discrete].long()).all(-1).float()
    if spec.continuous:
        figures["error"] = (chosen[:, discrete:] - actions[:, discrete:]).abs().mean(-1)
    return figures
