"""MaskGIT: what is hidden stays hidden, only hidden codes are learned, and likelihoods add up to one."""

from itertools import product

import pytest
import torch

from flexlam_rl.nn.maskgit import draw_hidden, fixed_order, masked_loss, pass_log_probs, sample_masked, shown_counts


@pytest.mark.parametrize(("count", "passes"), [(16, 8), (4, 3), (5, 9), (64, 1)])
def test_each_pass_shows_at_least_one_code_more_and_the_last_all(count, passes):
    counts = shown_counts(count, passes)
    assert len(counts) == min(passes, count) and counts[-1] == count
    assert all(b > a for a, b in zip([0, *counts], counts, strict=False))


def test_cosine_schedule_of_the_paper():
    assert shown_counts(64, 8) == [2, 5, 11, 19, 29, 40, 52, 64]


def test_the_share_that_training_hides_follows_the_cosine():
    hidden = draw_hidden(4000, 50, torch.Generator().manual_seed(0))
    shares = hidden.float().mean(1)
    assert shares.min() >= 1 / 50 and abs(float(shares.mean()) - 2 / torch.pi) < 0.02
    assert hidden.float().mean(0).std() < 0.02  # no place is preferred


def test_only_hidden_codes_are_learned():
    logits = torch.zeros(1, 3, 4, requires_grad=True)
    hidden = torch.tensor([[True, False, True]])
    masked_loss(logits, torch.tensor([[0, 1, 2]]), hidden).backward()
    assert torch.equal(logits.grad.abs().sum(-1) > 0, hidden)


def model(codes: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Any function of the codes that are shown."""
    shown = torch.where(hidden, -1, codes).float()
    weights = torch.linspace(-1, 1, 4 * 4 * 3).view(4, 4, 3).sin()
    return torch.einsum("bn,nmv->bmv", shown, weights) * 3


def test_likelihoods_of_all_pictures_add_up_to_one():
    every = torch.tensor(list(product(range(3), repeat=4)))
    for passes in (1, 2, 4):
        total = pass_log_probs(model, every, passes).double().sum(1).exp().sum()
        assert float(total) == pytest.approx(1.0, abs=1e-5)


def test_each_code_is_scored_given_those_of_earlier_passes_alone():
    codes = torch.tensor([[2, 0, 1, 2]])
    order, found = fixed_order(4), pass_log_probs(model, codes, 4)
    for i, place in enumerate(order.tolist()):
        hidden = torch.ones(1, 4, dtype=torch.bool)
        hidden[:, order[:i]] = False
        expected = model(codes, hidden).log_softmax(-1)[0, place, codes[0, place]]
        assert torch.allclose(found[0, place], expected)


def test_sampling_keeps_what_it_has_shown_and_is_repeatable():
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def watched(codes, hidden):
        seen.append((codes.clone(), hidden.clone()))
        return model(codes, hidden)

    one, two = (sample_masked(watched, 3, 4, 3, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert [int((~hidden).sum(1)[0]) for _, hidden in seen[:3]] == [0, *shown_counts(4, 3)[:2]]
    for codes, hidden in seen[:3]:
        assert torch.equal(codes[~hidden], one[~hidden])
