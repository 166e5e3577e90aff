"""Actions as models take and predict them: one categorical per discrete dimension, one number per continuous one.

Continuous dimensions are a regression in [-1, 1] by squared error. The codes tell a translator what happened, so there
is one right action, which is also the mean; a density would add a width that few labels cannot determine, and the
variation in play comes from drawing codes. A model that sees only the present (behavior cloning) predicts the mean of
its teacher's actions there.

Shapes: B batch, A sum of all discrete choices, G continuous dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.envs.action_values import NO_ACTION as NO_ACTION
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.nn.sampling import pick


def no_action(spec: ActionSpec, rows: int, device: torch.device | str = "cpu") -> Tensor:
    """Make the "previous actions" (rows, discrete + G) of first steps: -1 in discrete dimensions, NaN in continuous
    ones.
    """
    row = [float(NO_ACTION)] * len(spec.discrete) + [float("nan")] * spec.continuous
    dtype = torch.float32 if spec.continuous else torch.int64
    return torch.tensor(row, device=device).to(dtype).expand(rows, -1).clone()


def action_inputs(spec: ActionSpec) -> int:
    """Size of the vector that `embed_actions` makes of one action."""
    return sum(n + 1 for n in spec.discrete) + (spec.continuous + 1 if spec.continuous else 0)


def embed_actions(actions: Tensor, spec: ActionSpec) -> Tensor:
    """Encode actions (B, discrete + G) as input vectors of a layer.

    Each discrete dimension becomes a one-hot vector with one more place for "no action yet" (-1). Continuous numbers
    stay, with 0 for "no action yet" (NaN), and one more number is 1 in that case.
    """
    parts = [F.one_hot(actions[:, i].long() + 1, n + 1).float() for i, n in enumerate(spec.discrete)]
    if spec.continuous:
        numbers = actions[:, len(spec.discrete) :].float()
        none = numbers.isnan().any(dim=-1, keepdim=True)
        parts += [numbers.masked_fill(none, 0.0), none.float()]
    return torch.cat(parts, dim=-1)


def action_outputs(spec: ActionSpec) -> int:
    """Size of a head's output: logits of all discrete choices, then the continuous values."""
    return sum(spec.discrete) + spec.continuous


def action_losses(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> Tensor:
    """Compute each example's loss (B,): cross-entropy per discrete dimension plus squared error per continuous one."""
    loss = torch.zeros(len(outputs), device=outputs.device, dtype=torch.float32)
    start = 0
    for i, n in enumerate(spec.discrete):
        loss = loss + F.cross_entropy(outputs[:, start : start + n].float(), actions[:, i].long(), reduction="none")
        start += n
    if spec.continuous:
        loss = loss + (outputs[:, start:].float() - actions[:, len(spec.discrete) :].float()).square().sum(dim=-1)
    return loss


def choose_actions(outputs: Tensor, spec: ActionSpec) -> Tensor:
    """Choose the likeliest actions (B, discrete + G) from a head's outputs; continuous ones are clamped to [-1, 1].

    The result is int64 if all dimensions are discrete, else float32.
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
    """Compute the recall of each action that occurs: the share of its examples that are predicted.

    Args:
        outputs: Outputs of a head, (B, A + G).
        actions: True actions (B, discrete + continuous); two actions are different if a discrete dimension differs.
        spec: The action space.
    """
    count = len(spec.discrete)
    true, found = actions[:, :count].long(), choose_actions(outputs, spec)[:, :count].long()
    kinds, which = true.unique(dim=0, return_inverse=True)
    right = (true == found).all(-1).double()
    shares = torch.zeros(len(kinds), dtype=torch.float64, device=right.device).index_add_(0, which, right)
    shares = shares / torch.bincount(which, minlength=len(kinds))
    return {tuple(kind): share for kind, share in zip(kinds.tolist(), shares.tolist(), strict=True)}


def draw_actions(outputs: Tensor, spec: ActionSpec, numbers: Tensor, temperature: float = 1.0) -> Tensor:
    """Choose actions as `choose_actions` does, but draw discrete dimensions at random.

    Args:
        outputs: Outputs of the head.
        spec: The action space.
        numbers: Uniform numbers in [0, 1), (B, discrete); a row's choices depend only on its own numbers.
        temperature: Divisor of the logits.
    """
    actions, start = choose_actions(outputs, spec), 0
    for i, n in enumerate(spec.discrete):
        actions[:, i] = pick(outputs[:, start : start + n], numbers[:, i], temperature).to(actions.dtype)
        start += n
    return actions


def action_figures(outputs: Tensor, actions: Tensor, spec: ActionSpec) -> dict[str, Tensor]:
    """Compute how well actions are predicted, (B,) each.

    Returns:
        "accuracy": whether all discrete dimensions are right, if there are any. "error": mean absolute error of the
        continuous dimensions, if there are any, in units of half their range.
    """
    chosen, discrete = choose_actions(outputs, spec), len(spec.discrete)
    figures = {}
    if discrete:
        figures["accuracy"] = (chosen[:, :discrete].long() == actions[:, :discrete].long()).all(-1).float()
    if spec.continuous:
        figures["error"] = (chosen[:, discrete:] - actions[:, discrete:]).abs().mean(-1)
    return figures
