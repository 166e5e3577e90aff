"""Heads of continuous tokens: the mixture against brute force, the flow against a known distribution."""

import itertools
import math

import pytest
import torch
from torch.distributions import Normal

from flexlam_rl.nn.density_heads import FlowHead, MixtureHead, build_head


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_mixture_is_one_draw_for_all_positions_as_brute_force_says():
    torch.manual_seed(0)
    head = MixtureHead(6, 2, 3, entropy=0.5)
    torch.nn.init.normal_(head.tokens.weight, std=0.3)
    head.requires_grad_(False)
    features, summary, tokens = torch.randn(4, 5, 6), torch.randn(4, 6), torch.randn(4, 5, 2)
    found = head.distribution(features, summary)
    for row in range(4):
        weights = head.logits(summary[row]).softmax(-1)
        total, entropy = 0.0, -float((weights * weights.log()).sum())
        for k in range(3):
            density = float(weights[k])
            for p, i in itertools.product(range(5), range(2)):
                of = head.tokens(features[row, p]).view(2, 3, 2)
                normal = Normal(of[0, k, i].double(), (4 * (of[1, k, i] / 4).tanh()).exp().double())
                density *= float(normal.log_prob(tokens[row, p, i].double()).exp())
            total += density
        assert float(found.log_prob(tokens)[row]) == pytest.approx(math.log(total), rel=1e-4)
        loss = head.losses(features, summary, tokens, seeded())[row]
        assert float(loss) == pytest.approx(-(math.log(total) + 0.5 * entropy) / 10, rel=1e-4)


def test_a_sample_takes_all_positions_from_one_component_in_its_share():
    torch.manual_seed(0)
    head = MixtureHead(6, 2, 3, entropy=0.0)
    features, summary = torch.randn(1, 5, 6).expand(3000, -1, -1), torch.randn(1, 6).expand(3000, -1)
    with torch.no_grad():
        head.tokens.weight.zero_()
        head.tokens.bias.copy_(torch.cat([torch.tensor([-9.0, 0.0, 9.0]).repeat_interleave(2), torch.full((6,), -5.0)]))
        drawn = head.sample(features, summary, torch.randn(3000, 5, 2), torch.rand(3000, generator=seeded()))
        weights = head.logits(summary[0]).softmax(-1)
        likeliest = head.sample(features[:1], summary[:1], torch.zeros(1, 5, 2))
    components = (drawn / 9).round() + 1
    assert (components == components[:, :1, :1]).all()
    shares = torch.bincount(components[:, 0, 0].long(), minlength=3) / 3000
    assert torch.allclose(shares, weights, atol=0.03)
    assert torch.allclose(likeliest, torch.full((1, 5, 2), 9.0 * (int(weights.argmax()) - 1)), atol=1e-5)


def test_the_flow_head_recovers_a_known_mixture():
    """Two tokens given by their feature: one of two narrow bumps at -1 and 1, a third of it at -1, or one at 0.5."""
    torch.manual_seed(0)
    head, generator = FlowHead(2, 1, 32, 1), seeded()
    optimizer = torch.optim.AdamW(head.parameters(), 6e-3)
    features = torch.eye(2).expand(256, 2, 2)
    summary = torch.zeros(256, 2)

    def truth(count: int) -> torch.Tensor:
        side = torch.where(torch.rand(count, 1, generator=generator) < 1 / 3, -1.0, 1.0)
        return torch.cat([side, torch.full_like(side, 0.5)], 1)[..., None] + 0.1 * torch.randn(
            count, 2, 1, generator=generator
        )

    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * (1 - step / 300)
        optimizer.zero_grad()
        head.losses(features, summary, truth(256), generator).mean().backward()
        optimizer.step()
    with torch.no_grad():
        noise = torch.randn(4000, 2, 1, generator=generator)
        drawn = head.sample(features[:1].expand(4000, 2, 2), summary[:1].expand(4000, 2), noise, steps=20)[..., 0]
    bimodal, single = drawn.unbind(1)
    assert float((bimodal < 0).float().mean()) == pytest.approx(1 / 3, abs=0.06)
    assert float(bimodal[bimodal < 0].mean()) == pytest.approx(-1, abs=0.1)
    assert float(bimodal[bimodal > 0].mean()) == pytest.approx(1, abs=0.1)
    assert float((bimodal.abs() < 0.5).float().mean()) < 0.08
    assert float(single.mean()) == pytest.approx(0.5, abs=0.06) and float(single.std()) < 0.25


def test_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match="head is 'gan'; expected 'flow' or 'mixture'"):
        build_head("gan", 4, 2, 8, 1, 3, 0.0)  # type: ignore[arg-type]
