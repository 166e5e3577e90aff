"""Actions drawn from a head's outputs."""

import torch

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.nn.action_head import choose_actions, draw_actions


def test_actions_are_drawn_by_their_probabilities_at_a_temperature():
    spec = ActionSpec((3, 2), 1)
    probabilities = torch.tensor([0.2, 0.5, 0.3, 0.6, 0.4])
    outputs = torch.cat([probabilities.log(), torch.tensor([0.7])]).expand(4000, -1)
    numbers = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0))
    drawn = draw_actions(outputs, spec, numbers)
    for dimension, wanted in enumerate(probabilities.split([3, 2])):
        shares = torch.bincount(drawn[:, dimension].long(), minlength=len(wanted)) / 4000
        assert torch.allclose(shares, wanted, atol=0.03)
    assert (drawn[:, 2] == outputs[:, 5]).all()  # continuous numbers are not drawn
    sharper = (probabilities[:3] ** 2 / (probabilities[:3] ** 2).sum())[1]
    assert abs(float((draw_actions(outputs, spec, numbers, 0.5)[:, 0] == 1).float().mean()) - float(sharper)) < 0.03
    assert torch.equal(draw_actions(outputs, spec, numbers, 1e-3), choose_actions(outputs, spec))
