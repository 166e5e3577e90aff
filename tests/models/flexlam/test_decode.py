"""Cached decoding: what equals what."""

import pytest
import torch

from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.decode import Decoder

CONFIG = PRESETS["debug"].sequence

LONG = 20  # frames, more than three times the 6-frame context: every ring wraps around


def run(net, images, codes, budget=None, clear_at=None, context=None):
    """Observe all frames; returns the first-code logits at every step, and greedy codes where a budget is given."""
    decoder = Decoder(net, context=context)
    state = decoder.initial_state(len(images))
    logits, generated = [], []
    for t in range(images.shape[1]):
        if clear_at is not None:
            decoder.clear(state, clear_at == t)
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
        logits.append(net.head(hidden))
        if budget:
            generated.append(decoder.generate(state, hidden, budget).codes)
    return torch.stack(logits, 1), torch.stack(generated, 1) if budget else None


# norms are formed in float32, where the last bits of a convolution, which differ between batch sizes, may tip a
# rounding
@pytest.mark.parametrize(("stem", "close"), [("linear", 1e-10), ("conv", 1e-5)])
def test_cached_equals_uncached_over_an_episode_longer_than_the_context(model, window, stem, close):
    net = model(stem=stem)
    images, codes = window(LONG)
    logits, _ = run(net, images, codes, budget=CONFIG.slots)
    assert torch.allclose(logits, net(images, codes)[:, :, 0], atol=close)


@pytest.mark.parametrize("context", [2, 3, 5])
def test_a_shorter_context_is_the_model_with_so_many_frames(model, window, context):
    net, short = model(), model(frames=context)
    images, codes = window(LONG)
    logits, _ = run(net, images, codes, context=context)
    assert torch.allclose(logits, short(images, codes)[:, :, 0], atol=1e-10)
    whole, _ = run(net, images, codes)
    assert torch.allclose(logits[:, :context], whole[:, :context], atol=1e-10)
    assert not torch.allclose(logits[:, context:], whole[:, context:], atol=1e-6)


@pytest.mark.parametrize("context", [1, CONFIG.frames + 1])
def test_a_context_that_was_not_trained_is_refused(model, context):
    with pytest.raises(ValueError, match=rf"context is {context} frames; expected 2..{CONFIG.frames}"):
        Decoder(model(), context=context)


def test_generated_codes_are_the_uncached_models_greedy_choice(model, window):
    net = model()
    images, codes = window(LONG)
    _, generated = run(net, images, codes, budget=CONFIG.slots)
    for t in (0, 1, 7, LONG - 1):
        block = codes[:, : t + 1].clone()
        for m in range(CONFIG.slots):
            choice = net(images[:, : t + 1], block)[:, t, m].argmax(-1)
            assert torch.equal(choice, generated[:, t, m])
            block[:, t, m] = choice


def test_budgets_are_prefixes_of_each_other(model, window):
    net = model()
    images, codes = window(9)
    whole = run(net, images, codes, budget=CONFIG.slots)[1]
    for budget in range(1, CONFIG.slots):
        assert torch.equal(run(net, images, codes, budget=budget)[1], whole[..., :budget])


def test_log_probabilities_are_the_uncached_models(model, window):
    net = model()
    images, codes = window(5)
    decoder = Decoder(net)
    state = decoder.initial_state(2)
    for t in range(5):
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
    out = decoder.generate(state, hidden, CONFIG.slots, torch.Generator().manual_seed(0), temperature=0.7)
    block = codes.clone()
    block[:, 4] = out.codes
    expected = net(images, block)[:, 4].log_softmax(-1).gather(-1, out.codes[..., None])[..., 0]
    assert torch.allclose(out.log_probs, expected.float(), atol=1e-5)


def test_batch_equals_single(model, window):
    net = model()
    images, codes = window(8, batch=3)
    whole, generated = run(net, images, codes, budget=3)
    for b in range(3):
        alone, own = run(net, images[b : b + 1], codes[b : b + 1], budget=3)
        assert torch.allclose(whole[b : b + 1], alone, atol=1e-10)
        assert torch.equal(generated[b : b + 1], own)


def test_clearing_a_row_restarts_it_and_touches_no_other(model, window):
    net = model()
    images, codes = window(LONG, batch=3)
    clear_at = torch.tensor([-1, 7, 13])
    logits, _ = run(net, images, codes, clear_at=clear_at)
    assert torch.allclose(logits[0], net(images[:1], codes[:1])[0, :, 0], atol=1e-10)
    for b in (1, 2):
        t = int(clear_at[b])
        fresh = net(images[b : b + 1, t:], codes[b : b + 1, t:])[0, :, 0]
        assert torch.allclose(logits[b, t:], fresh, atol=1e-10)


def test_sampling_follows_the_generator_and_the_model(model, window):
    net = model()
    images, codes = window(3, batch=1)
    decoder = Decoder(net)
    state = decoder.initial_state(1)
    for t in range(3):
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([decoder.generate(state, hidden, 1, generator).codes for _ in range(2000)])[:, 0]
    p = net.head(hidden).softmax(-1)[0]
    top = p.topk(5).indices
    shares = torch.stack([(draws == c).double().mean() for c in top])
    assert torch.allclose(shares, p[top], atol=0.05)
    again = decoder.generate(state, hidden, 4, torch.Generator().manual_seed(1)).codes
    assert torch.equal(again, decoder.generate(state, hidden, 4, torch.Generator().manual_seed(1)).codes)


def test_bad_calls_are_named(model, window):
    net = model()
    images, _ = window(2)
    decoder = Decoder(net)
    state = decoder.initial_state(2)
    hidden = decoder.observe(state, images[:, 0], None)
    for budget in (0, CONFIG.slots + 1):
        with pytest.raises(ValueError, match=f"budget is {budget}"):
            decoder.generate(state, hidden, budget)
    with pytest.raises(ValueError, match="last_codes is None"):
        decoder.observe(state, images[:, 1], None)
