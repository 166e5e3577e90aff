"""Distance between the outputs of two heads, as distributions of actions.

Shapes: B batch, A sum of all discrete choices, G continuous dimensions.
"""

import torch
from torch import Tensor

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.nn.action_head import choose_actions


def action_distance(outputs: Tensor, others: Tensor, spec: ActionSpec) -> Tensor:
    """Measure how much two distributions of actions differ, (B,), from 0 (equal) to 1.

    For discrete dimensions, it is the total variation: the smallest probability that two actions, drawn jointly,
    differ. With several dimensions, it is the probability that at least one differs if each is drawn independently. For
    continuous dimensions, it is the largest difference as a share of the range. The result is the larger of the two.

    Args:
        outputs, others: Outputs of two heads, (B, A + G).
        spec: The action space.
    """
    same, start = torch.ones(len(outputs), device=outputs.device), 0
    for n in spec.discrete:
        part = slice(start, start + n)
        gap = outputs[:, part].float().softmax(-1) - others[:, part].float().softmax(-1)
        same, start = same * (1 - gap.abs().sum(-1) / 2), start + n
    apart = (1 - same).clamp(min=0.0)
    if spec.continuous:
        numbers = (outputs[:, start:].float().clamp(-1, 1) - others[:, start:].float().clamp(-1, 1)).abs() / 2
        apart = torch.maximum(apart, numbers.amax(-1))
    return apart


def actions_differ(outputs: Tensor, others: Tensor, spec: ActionSpec, least: float = 0.1) -> Tensor:
    """Tell where the likeliest actions differ, bool (B,): in a discrete dimension at all, or in a continuous dimension
    by more than the share `least` of the range.
    """
    one, other = choose_actions(outputs, spec), choose_actions(others, spec)
    count = len(spec.discrete)
    differ = (one[:, :count].long() != other[:, :count].long()).any(-1)
    if spec.continuous:
        differ = differ | ((one[:, count:] - other[:, count:]).abs() / 2 > least).any(-1)
    return differ
