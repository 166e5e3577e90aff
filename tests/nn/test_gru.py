"""The GRU over time: equal to torch's own, step by step, in values and gradients."""

import torch
from torch import nn

from flexlam_rl.nn.gru import recur

TIME, ROWS, INPUT, WIDTH = 7, 3, 4, 5


def parts() -> tuple[nn.GRUCell, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    cell = nn.GRUCell(INPUT, WIDTH).double()
    begins = torch.rand(TIME, ROWS) < 0.3
    assert begins[1:].any() and not begins.all()
    return cell, torch.randn(TIME, ROWS, INPUT).double(), begins, torch.randn(ROWS, WIDTH).double()


def run(cell: nn.GRUCell, inputs: torch.Tensor, begins: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    return recur(inputs @ cell.weight_ih.t() + cell.bias_ih, begins, hidden, cell.weight_hh, cell.bias_hh)


def test_states_and_gradients_are_those_of_torch() -> None:
    cell, inputs, begins, hidden = parts()
    inputs.requires_grad_(), hidden.requires_grad_()
    wanted, state = [], hidden
    for now, fresh in zip(inputs, begins, strict=True):
        state = cell(now, torch.where(fresh[:, None], 0.0, state))
        wanted.append(state)
    states = run(cell, inputs, begins, hidden)
    torch.testing.assert_close(states, torch.stack(wanted))
    weights = torch.randn_like(states)
    learned = [*cell.parameters(), inputs, hidden]
    mine = torch.autograd.grad((states * weights).sum(), learned)
    torchs = torch.autograd.grad((torch.stack(wanted) * weights).sum(), learned)
    for one, other in zip(mine, torchs, strict=True):
        torch.testing.assert_close(one, other)
        assert bool(one.abs().sum() > 0)


def test_an_episode_knows_nothing_of_the_one_before() -> None:
    cell, inputs, begins, hidden = parts()
    begins[3] = True
    changed = inputs.clone()
    changed[:3] += 1.0
    first, second = run(cell, inputs, begins, hidden), run(cell, changed, begins, hidden + 1.0)
    assert not torch.equal(first[:3], second[:3])
    assert torch.equal(first[3:], second[3:])


def test_one_step_at_a_time_gives_the_same_states() -> None:
    cell, inputs, begins, hidden = parts()
    states = run(cell, inputs, begins, hidden)
    for t in range(TIME):
        hidden = run(cell, inputs[t : t + 1], begins[t : t + 1], hidden)[0]
        torch.testing.assert_close(hidden, states[t])
