"""The factored and the recurrent prior: causal, trained in the contexts that decoding meets, decoded as trained."""

import pytest
import torch

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.factored.config import SIZES as FACTORED
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.priors import decoder_of
from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from tests.models.flexlam.conftest import build_prior

KINDS = {"factored": (FactoredPrior, FACTORED["debug"]), "recurrent": (RecurrentPrior, RECURRENT["debug"])}
M, CODES = FACTORED["debug"].slots, FACTORED["debug"].codes
F = FACTORED["debug"].frames
LONG = 20  # frames, more than three times the context or a training window
CLOSE = 1e-5  # norms are formed in float32


@pytest.fixture(params=KINDS)
def prior(request):
    """A prior whose decisions depend on everything that they may depend on."""
    kind, config = KINDS[request.param]
    assert (config.slots, config.codes, config.frames) == (M, CODES, F)
    return build_prior(kind, config)


@torch.no_grad()
def play(net, images, codes, budget=M, clear_at=None, draws=None):
    """Log-probabilities and codes of every decision, (B, T, budget)."""
    decoder = decoder_of(net)
    state = decoder.initial_state(len(images))
    found = []
    for t in range(images.shape[1]):
        if clear_at is not None:
            decoder.clear(state, clear_at == t)
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
        found.append(decoder.generate(state, hidden, budget, draws=None if draws is None else draws[:, t]))
    return torch.stack([f.log_probs for f in found], 1), torch.stack([f.codes for f in found], 1)


def test_decisions_are_the_uncached_models_over_a_long_episode(prior, window):
    images, codes = window(LONG)
    log_probs, generated = play(prior, images, codes)
    for t in (0, 1, F - 1, F, F + 1, LONG - 1):
        block = codes[:, : t + 1].clone()
        block[:, t] = generated[:, t]
        logits = prior(images[:, : t + 1], block)[:, t].detach()
        assert torch.equal(logits.argmax(-1), generated[:, t])
        expected = logits.log_softmax(-1).gather(-1, generated[:, t, :, None])[..., 0]
        assert torch.allclose(log_probs[:, t], expected.float(), atol=CLOSE)


def test_states_and_logits_of_decisions_are_those_of_play(prior, window):
    images, codes = window(5)
    chosen = (codes[..., :2] + 1) % CODES  # other codes than those that followed
    states, logits = prior.decide(images, codes, chosen)
    decoder = decoder_of(prior)
    state = decoder.initial_state(len(images))
    for t in range(5):
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
        assert torch.allclose(hidden, states[:, t], atol=CLOSE)
        expected = logits[:, t].log_softmax(-1).gather(-1, chosen[:, t, :, None])[..., 0]
        assert torch.allclose(decoder.log_probs(state, hidden, chosen[:, t]), expected.float(), atol=CLOSE)


def test_a_row_is_the_same_alone_and_a_smaller_budget_a_prefix(prior, window):
    images, codes = window(9, batch=3)
    draws = torch.rand(3, 9, M, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_probs, generated = play(prior, images, codes, draws=draws)
    for b in range(3):
        one = slice(b, b + 1)
        alone, own = play(prior, images[one], codes[one], draws=draws[one])
        assert torch.equal(generated[one], own) and torch.allclose(log_probs[one], alone, atol=CLOSE)
    for budget in range(1, M):
        assert torch.equal(play(prior, images, codes, budget, draws=draws)[1], generated[..., :budget])
    assert not torch.equal(generated, play(prior, images, codes, draws=draws.flip(0))[1])


def test_clearing_a_row_restarts_it_and_touches_no_other(prior, window):
    images, codes = window(LONG, batch=3)
    log_probs, _ = play(prior, images, codes, clear_at=torch.tensor([-1, 7, 13]))
    for b, start in enumerate((0, 7, 13)):
        fresh, _ = play(prior, images[b : b + 1, start:], codes[b : b + 1, start:])
        assert torch.allclose(log_probs[b, start:], fresh[0], atol=CLOSE)


def test_nothing_later_changes_a_prediction_and_all_before_it_does(prior, window):
    images, codes = window(F)
    base = prior(images, codes)
    for t in range(F):
        later, changed = images.clone(), codes.clone()
        later[:, t + 1 :] = 0
        changed[:, t + 1 :] = 0
        assert torch.equal(prior(later, changed)[:, : t + 1], base[:, : t + 1])
        for m in range(M):
            changed = codes.clone()
            changed[:, t, m] = (changed[:, t, m] + 1) % CODES
            moved = (prior(images, changed) - base).abs().amax((0, 3)) > 1e-9
            assert moved[t].tolist() == [i > m for i in range(M)] and moved[t + 1 :].all() and not moved[:t].any()
        changed = images.clone()
        changed[:, t] = 0.5
        moved = (prior(changed, codes) - base).abs().amax((0, 3)) > 1e-9
        assert moved[t:].all() and not moved[:t].any()


def test_the_first_codes_alone_are_predicted_as_among_whole_blocks(prior, window):
    images, codes = window(F)
    for predicted in (1, 3):
        assert torch.allclose(prior(images, codes, 0, predicted), prior(images, codes)[:, :, :predicted])


def test_a_past_prefix_is_its_codes_and_nulls(prior, window):
    images, codes = window(4)
    kept = torch.full((2, 4), 2)
    changed = codes.clone()
    changed[:, :, 2:] = 0
    assert torch.equal(prior.embed_blocks(codes, kept), prior.embed_blocks(changed[..., :2]))
    assert not torch.allclose(prior.embed_blocks(codes, kept), prior.embed_blocks(changed))
    assert torch.equal(prior(images, codes, 0, 2, kept=kept), prior(images, changed, 0, 2, kept=kept))


def test_what_is_dropped_is_seen_by_its_own_decision_alone(prior, window):
    images, codes = window(F)
    frames, blocks = torch.zeros(2, F, dtype=torch.bool)
    frames[2] = blocks[1] = True
    dropped = Dropped(frames, blocks)
    base = prior(images, codes, dropped=dropped)
    for part, at in ((images, 2), (codes, 1)):
        changed = part.clone()
        changed[:, at] = 0
        given = (changed, codes) if part is images else (images, changed)
        moved = (prior(*given, dropped=dropped) - base).abs().amax((0, 2, 3)) > 1e-9
        assert moved.tolist() == [t == at for t in range(F)]


def test_gradient_reaches_every_parameter(prior, window):
    net = prior.float()
    images, codes = window(F)
    net.loss(images.float(), codes, kept=torch.full((2, F), 2)).mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
