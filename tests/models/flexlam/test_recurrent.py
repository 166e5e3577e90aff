"""The recurrent prior: causal, decoded as it was trained, over episodes of any length."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.recurrent.config import SIZES
from flexlam_rl.models.flexlam.recurrent.decode import RecurrentDecoder
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.train import optim

CONFIG = SIZES["debug"]
M = CONFIG.slots
LONG = 20  # frames, more than three times a training window
CLOSE = 1e-5  # norms are formed in float32


@pytest.fixture
def prior():
    """A prior whose decisions depend on everything that they may depend on."""
    torch.manual_seed(0)
    built = RecurrentPrior(CONFIG).double()
    for parameter in built.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return built


@torch.no_grad()
def play(net, images, codes, budget=M, clear_at=None, draws=None):
    """Log-probabilities and codes of every decision, (B, T, budget)."""
    decoder = RecurrentDecoder(net)
    state = decoder.initial_state(len(images))
    found = []
    for t in range(images.shape[1]):
        if clear_at is not None:
            decoder.clear(state, clear_at == t)
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
        found.append(decoder.generate(state, hidden, budget, draws=None if draws is None else draws[:, t]))
    return torch.stack([f.log_probs for f in found], 1), torch.stack([f.codes for f in found], 1)


def test_decisions_are_the_uncached_models_over_an_episode_longer_than_a_window(prior, window):
    images, codes = window(LONG)
    log_probs, generated = play(prior, images, codes)
    for t in (0, 1, CONFIG.frames, LONG - 1):
        block = codes[:, : t + 1].clone()
        block[:, t] = generated[:, t]
        logits = prior(images[:, : t + 1], block)[:, t].detach()
        assert torch.equal(logits.argmax(-1), generated[:, t])
        expected = logits.log_softmax(-1).gather(-1, generated[:, t, :, None])[..., 0]
        assert torch.allclose(log_probs[:, t], expected.float(), atol=CLOSE)


def test_states_and_logits_of_decisions_are_those_of_play(prior, window):
    images, codes = window(5)
    chosen = (codes[..., :2] + 1) % CONFIG.codes  # other codes than those that followed
    states, logits = prior.decide(images, codes, chosen)
    decoder = RecurrentDecoder(prior)
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
    images, codes = window(5)
    base = prior(images, codes)
    for t in range(5):
        for m in range(M):
            changed = codes.clone()
            changed[:, t, m] = (changed[:, t, m] + 1) % CONFIG.codes
            moved = (prior(images, changed) - base).abs().amax((0, 3)) > 1e-9
            assert moved[t].tolist() == [i > m for i in range(M)] and moved[t + 1 :].all() and not moved[:t].any()
        changed = images.clone()
        changed[:, t] = 0.5
        moved = (prior(changed, codes) - base).abs().amax((0, 3)) > 1e-9
        assert moved[t:].all() and not moved[:t].any()


def test_what_is_dropped_is_seen_by_its_own_decision_alone(prior, window):
    images, codes = window(6)
    frames, blocks = torch.zeros(2, 6, dtype=torch.bool)
    frames[2] = blocks[1] = True
    dropped = Dropped(frames, blocks)
    base = prior(images, codes, dropped=dropped)
    for part, at in ((images, 2), (codes, 1)):
        changed = part.clone()
        changed[:, at] = 0
        given = (changed, codes) if part is images else (images, changed)
        moved = (prior(*given, dropped=dropped) - base).abs().amax((0, 2, 3)) > 1e-9
        assert moved.tolist() == [t == at for t in range(6)]


def test_gradient_reaches_every_parameter_and_the_matrices_inside_are_hidden_ones(prior, window):
    net = prior.float()
    images, codes = window(6)
    net.loss(images.float(), codes, kept=torch.full((2, 6), 2)).mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    matrices = {id(p) for group in net.param_groups() if group["kind"] == "matrix" for p in group["params"]}
    inside = (net.project.layer, net.gru.input_gates, net.gru.hidden_gates)
    assert all(id(layer.weight) in matrices for layer in inside) and id(net.head.logits.weight) not in matrices
    assert len(optim.build([net], "muon", 1e-3, 1e-2, 0.0)) == 2


def test_a_context_and_frames_that_are_too_small_are_refused(prior):
    with pytest.raises(ValueError, match="context is 3 frames, but a recurrent prior remembers the whole episode"):
        RecurrentDecoder(prior, context=3)
    with pytest.raises(ValueError, match="Frames are 32x32"):
        replace(CONFIG, image_size=32)
    with pytest.raises(ValueError, match="last_codes is None"):
        decoder = RecurrentDecoder(prior)
        state = decoder.initial_state(1)
        for _ in range(2):
            decoder.observe(state, torch.zeros(1, 3, 64, 64, dtype=torch.float64), None)
