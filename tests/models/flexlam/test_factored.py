"""The factored prior: causal, trained in the contexts that decoding meets, and decoded as it was trained."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.decode import FactoredDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior

CONFIG = SIZES["debug"]
M, F = CONFIG.slots, CONFIG.frames
LONG = 20  # frames, more than three times the context: both rings wrap around
CLOSE = 1e-5  # norms are formed in float32


@pytest.fixture
def prior():
    """Builds a prior: prior(**changes of the configuration)."""

    def build(**changes):
        torch.manual_seed(0)
        built = FactoredPrior(replace(CONFIG, **changes)).double()
        for parameter in built.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        return built

    return build


@torch.no_grad()
def play(net, images, codes, budget=M, clear_at=None, context=None, draws=None):
    """Log-probabilities and codes of every decision, (B, T, budget)."""
    decoder = FactoredDecoder(net, context=context)
    state = decoder.initial_state(len(images))
    found = []
    for t in range(images.shape[1]):
        if clear_at is not None:
            decoder.clear(state, clear_at == t)
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
        found.append(decoder.generate(state, hidden, budget, draws=None if draws is None else draws[:, t]))
    return torch.stack([f.log_probs for f in found], 1), torch.stack([f.codes for f in found], 1)


@torch.no_grad()
def of_decision(net, images, codes, generated, t):
    """The uncached model's logits (B, M, V) of the block at t, given the codes that were generated there."""
    block = codes[:, : t + 1].clone()
    block[:, t] = generated[:, t]
    return net(images[:, : t + 1], block)[:, t]


@pytest.mark.parametrize("patch", [32, 64])
def test_decisions_are_the_uncached_models_over_an_episode_longer_than_the_context(prior, window, patch):
    net = prior(patch=patch)
    images, codes = window(LONG)
    log_probs, generated = play(net, images, codes)
    for t in (0, 1, F - 1, F, F + 1, LONG - 1):
        logits = of_decision(net, images, codes, generated, t)
        assert torch.equal(logits.argmax(-1), generated[:, t])
        expected = logits.log_softmax(-1).gather(-1, generated[:, t, :, None])[..., 0]
        assert torch.allclose(log_probs[:, t], expected.float(), atol=CLOSE)


def test_a_shorter_context_is_the_model_with_so_many_frames(prior, window):
    images, codes = window(LONG)
    log_probs, generated = play(prior(), images, codes, context=3)
    expected, same = play(prior(frames=3), images, codes)
    assert torch.equal(generated, same) and torch.allclose(log_probs, expected)
    assert not torch.allclose(log_probs[:, 3:], play(prior(), images, codes)[0][:, 3:], atol=1e-3)
    with pytest.raises(ValueError, match=f"context is 1 frames; expected 2..{F}"):
        FactoredDecoder(prior(), context=1)


def test_a_row_is_the_same_alone_and_a_smaller_budget_a_prefix(prior, window):
    net = prior()
    images, codes = window(9, batch=3)
    draws = torch.rand(3, 9, M, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_probs, generated = play(net, images, codes, draws=draws)
    for b in range(3):
        one = slice(b, b + 1)
        alone, own = play(net, images[one], codes[one], draws=draws[one])
        assert torch.equal(generated[one], own) and torch.allclose(log_probs[one], alone, atol=CLOSE)
    for budget in range(1, M):
        assert torch.equal(play(net, images, codes, budget, draws=draws)[1], generated[..., :budget])
    assert not torch.equal(generated, play(net, images, codes, draws=draws.flip(0))[1])


def test_clearing_a_row_restarts_it_and_touches_no_other(prior, window):
    net = prior()
    images, codes = window(LONG, batch=3)
    log_probs, _ = play(net, images, codes, clear_at=torch.tensor([-1, 7, 13]))
    for b, start in enumerate((0, 7, 13)):
        fresh, _ = play(net, images[b : b + 1, start:], codes[b : b + 1, start:])
        assert torch.allclose(log_probs[b, start:], fresh[0], atol=CLOSE)


def test_nothing_later_changes_a_prediction_and_all_before_it_does(prior, window):
    net = prior()
    images, codes = window(F)
    base = net(images, codes)
    for t in range(F):
        later, changed = images.clone(), codes.clone()
        later[:, t + 1 :] = 0
        changed[:, t + 1 :] = 0
        assert torch.equal(net(later, changed)[:, : t + 1], base[:, : t + 1])
        for m in range(M):
            changed = codes.clone()
            changed[:, t, m] = (changed[:, t, m] + 1) % CONFIG.codes
            moved = (net(images, changed) - base).abs().amax((0, 3)) > 1e-6
            assert moved[t].tolist() == [i > m for i in range(M)] and moved[t + 1 :].all() and not moved[:t].any()
        changed = images.clone()
        changed[:, t] = 0.5
        moved = (net(changed, codes) - base).abs().amax((0, 3)) > 1e-6
        assert moved[t:].all() and not moved[:t].any()


def test_the_first_codes_alone_are_predicted_as_among_whole_blocks(prior, window):
    net = prior()
    images, codes = window(F)
    for predicted in (1, 3):
        assert torch.allclose(net(images, codes, 0, predicted), net(images, codes)[:, :, :predicted])


def test_a_past_prefix_is_its_codes_and_nulls(prior, window):
    net = prior()
    images, codes = window(4)
    kept = torch.full((2, 4), 2)
    changed = codes.clone()
    changed[:, :, 2:] = 0
    assert torch.equal(net.embed_blocks(codes, kept), net.embed_blocks(changed[..., :2]))
    assert not torch.allclose(net.embed_blocks(codes, kept), net.embed_blocks(changed))
    assert torch.equal(net(images, codes, 0, 2, kept=kept), net(images, changed, 0, 2, kept=kept))


def test_what_is_dropped_is_seen_by_its_own_decision_alone(prior, window):
    net = prior()
    images, codes = window(F)
    frames, blocks = torch.zeros(2, F, dtype=torch.bool)
    frames[2] = blocks[1] = True
    dropped = Dropped(frames, blocks)
    base = net(images, codes, dropped=dropped)
    for part, at in ((images, 2), (codes, 1)):
        changed = part.clone()
        changed[:, at] = 0
        given = (changed, codes) if part is images else (images, changed)
        moved = (net(*given, dropped=dropped) - base).abs().amax((0, 2, 3)) > 1e-6
        assert moved.tolist() == [t == at for t in range(F)]


def test_gradient_reaches_every_parameter(prior, window):
    net = prior().float()
    images, codes = window(F)
    net.loss(images.float(), codes, kept=torch.full((2, F), 2)).mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
