"""How far two heads' outputs are apart as actions.

Shapes: B batch, A sum of all discrete choices, G continuous dimensions.
"""

import torch
from torch import Tensor

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.nn.action_head import choose_actions


def action_distance(outputs: Tensor, others: Tensor, spec: ActionSpec) -> Tensor:
    """Measure how much two distributions of actions differ, from 0 (equal) to 1 (B,).

    In discrete dimensions it is the total variation: the smallest probability with which two actions drawn together
    differ; of several dimensions, that one of them differs, each drawn apart from the others. In continuous ones it is
    the largest difference as a share of the range. The larger one of both counts.

    Args:
        outputs, others: Of two heads, (B, A + G).
        spec: What actions consist of.
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
    """Tell where the likeliest actions differ, bool (B,): in a discrete dimension, or by more than the share `least`
    of the range in a continuous one.
    """
    one, other = choose_actions(outputs, spec), choose_actions(others, spec)
    count = len(spec.discrete)
    differ = (one[:, :count].long() != other[:, :count].long()).any(-1)
    if spec.continuous:
        differ = differ | ((one[:, count:] - other[:, count:]).abs() / 2 > least).any(-1)
    return differ
