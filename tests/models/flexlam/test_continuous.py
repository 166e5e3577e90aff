"""The continuous prior: all slots at once, decoded as it was trained, a prefix for any budget, exact resume."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from flexlam_rl.models.flexlam.continuous.config import SIZES
from flexlam_rl.models.flexlam.continuous.decode import ContinuousDecoder
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.priors import load_prior
from flexlam_rl.models.flexlam.stages.definitions import SEQUENCE_STAGE
from flexlam_rl.models.systems import load_slot_model
from flexlam_rl.train import run_stage
from flexlam_rl.train.options import part_of
from flexlam_rl.train.run_stage import alone, open_splits, train_stage
from flexlam_rl.train.trainer import run

CONFIG = SIZES["debug"]
M, D, LONG = CONFIG.slots, CONFIG.dim, 15
HEADS = pytest.mark.parametrize("head", ["flow", "mixture"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(**changes) -> ContinuousPrior:
    torch.manual_seed(0)
    built = ContinuousPrior(replace(CONFIG, **changes))
    for parameter in built.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    if built.config.codes:
        built.codebook.copy_(torch.randn(built.config.codes, D, generator=rng()))
    built.scale.fit(torch.randn(50, M, D, generator=rng(1)) * 2 + 1)
    return built.eval()


def window(codes: int | None, length: int = LONG, batch: int = 2):
    frames = torch.rand(batch, length, 3, 64, 64, generator=rng(2)) * 2 - 1
    if codes:
        return frames, torch.randint(0, codes, (batch, length, M), generator=rng(3))
    return frames, torch.randn(batch, length, M, D, generator=rng(3))


@torch.no_grad()
def play(decoder: ContinuousDecoder, frames, latents, draws, budget=M):
    state, found = decoder.initial_state(len(frames)), []
    for t in range(frames.shape[1]):
        hidden = decoder.observe(state, frames[:, t], latents[:, t - 1] if t else None)
        found.append(decoder.generate(state, hidden, budget, draws=draws[:, t, : decoder.numbers(budget)]).codes)
    return torch.stack(found, 1)


@HEADS
@pytest.mark.parametrize("codes", [None, 30])
def test_decisions_are_the_uncached_models_and_a_smaller_budget_is_a_prefix(head, codes):
    net = build(head=head, codes=codes)
    decoder = ContinuousDecoder(net)
    frames, latents = window(codes)
    draws = torch.rand(2, LONG, decoder.numbers(M), generator=rng(4), dtype=torch.float64)
    played = play(decoder, frames, latents, draws)
    with torch.no_grad():
        states = net.states(frames, latents).flatten(0, 1)
        noise = torch.special.ndtri(draws[..., 1:]).float().view(-1, M, D)
        expected = net.sample(states, noise, draws[..., 0].flatten()).view(played.shape)
    if codes:
        assert played.dtype == torch.int64 and torch.equal(played, expected) and len(played.unique()) > 5
    else:
        assert torch.allclose(played, expected, atol=1e-3) and played.std() > 0.1
    for budget in (1, 3):
        part = play(decoder, frames, latents, draws, budget)
        assert torch.allclose(part.double(), played[:, :, :budget].double(), atol=1e-4)
    other = play(decoder, frames, latents, 1 - draws)
    assert not torch.allclose(other.double(), played.double())


def test_the_mixtures_component_is_one_for_all_slots():
    net = build(head="mixture", codes=None, components=2)
    with torch.no_grad():
        net.scale.fit(torch.randn(50, M, D, generator=rng()))
        net.head.tokens.weight.zero_()
        net.head.tokens.bias.copy_(
            torch.cat([torch.tensor([-5.0, 5.0]).repeat_interleave(D), torch.full((2 * D,), -4.0)])
        )
    decoder = ContinuousDecoder(net)
    drawn = decoder.generate(decoder.initial_state(60), torch.randn(60, CONFIG.width, generator=rng()), M, rng(1)).codes
    signs = net.vectors(drawn).sign()
    assert (signs == signs[:, :1, :1]).all() and 5 < (signs[:, 0, 0] > 0).sum() < 55


def test_slots_behind_a_prefix_change_nothing():
    net = build(codes=None)
    frames, latents = window(None, 5)
    kept = torch.full((2, 5), 2)
    base = net.states(frames, latents, kept=kept)
    changed = latents.clone()
    changed[:, :, 2:] = torch.nan
    assert torch.equal(net.states(frames, changed, kept=kept), base)
    changed = latents.clone()
    changed[:, :, 1] += 1
    assert not torch.allclose(net.states(frames, changed, kept=kept), base)
    # a block of two slots is the same as one whose others are null
    assert torch.allclose(net.embed_blocks(latents[:, :, :2]), net.embed_blocks(latents, kept), atol=1e-5)


def test_a_vector_is_rounded_to_the_nearest_code_and_back():
    net = build(codes=30)
    codes = torch.randint(0, 30, (7, M), generator=rng(5))
    vectors = net.vectors(codes)
    assert torch.equal(net.latents(vectors + 0.01 * torch.randn(vectors.shape, generator=rng(6))), codes)
    free = build(codes=None)
    assert torch.allclose(free.latents(free.vectors(net.codebook[codes])), net.codebook[codes], atol=1e-5)


@HEADS
def test_gradient_reaches_every_weight_and_noise_on_the_past_can_be_switched_off(head):
    net = build(head=head, codes=30)
    frames, codes = window(30, 5)
    net.loss(frames, codes, rng(), kept=torch.full((2, 5), 2)).mean().backward()
    lacking = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not lacking, lacking
    with torch.no_grad():
        net.config = replace(net.config, noise=0.0)
        clean = net.loss(frames, codes, rng())
        assert torch.equal(clean, net.loss(frames, codes, rng(), noisy=False))
        net.config = replace(net.config, noise=0.5)
        assert not torch.equal(clean, net.loss(frames, codes, rng()))


class Stopped(Exception):
    pass


def test_it_trains_on_a_lam_of_numbers_and_continues_bit_for_bit(args, monkeypatch):
    args = replace(args, quantizer="gaussian", steps=2)
    train_stage("lam", args)
    digest = load_file(args.out / "lam/best/lam/model.safetensors")
    options = replace(args, prior="continuous", lam_run=args.out, steps=5, context=4, seed=1)
    whole, stopped = (replace(options, out=args.out.parent / name) for name in ("whole", "stopped"))
    figures = train_stage("sequence", whole)
    assert set(figures) >= {"loss", "loss_first", "distance"}

    def on_step(done):
        if done == 4:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(run_stage, "run", lambda what, loop, out: run(what, loop, out, on_step))
        with pytest.raises(Stopped):
            train_stage("sequence", stopped)
    train_stage("sequence", stopped)
    one, other = (load_file(r.out / "sequence/last/sequence/model.safetensors") for r in (whole, stopped))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    model, lam = load_prior(whole.out / "sequence/best/sequence"), load_slot_model(args.out / "lam/best/lam")
    assert model.config.codes == lam.latent.codes and (model.scale.deviation != 1).all()
    assert all(torch.equal(digest[name], value) for name, value in lam.state_dict().items())
    options = part_of(whole, SEQUENCE_STAGE.options)
    with alone(options):
        splits = open_splits(options)
        stage = SEQUENCE_STAGE.build(options, SEQUENCE_STAGE.plan(options, splits, {}), splits)
        stage.loss(stage.next_batch("cpu"), rng())[0].backward()
    assert all(p.grad is None for p in stage.lam.parameters())


def test_what_does_not_fit_is_refused_in_a_sentence(args):
    with pytest.raises(ValueError, match=r"history_noise is 0\.5, which only continuous priors have"):
        replace(args, history_noise=0.5)
    with pytest.raises(ValueError, match="history_noise is -1"):
        replace(args, history_noise=-1.0, prior="continuous")
    decoder = ContinuousDecoder(build())
    with pytest.raises(ValueError, match="budget is 9"):
        decoder.generate(decoder.initial_state(1), torch.zeros(1, CONFIG.width), 9)


@torch.no_grad()
def test_noise_is_on_the_past_and_not_on_what_is_predicted(monkeypatch):
    net = build(head="mixture", codes=None, noise=0.5)
    frames, latents = window(None)
    monkeypatch.setattr(net, "states_of", lambda frames, blocks, dropped: torch.zeros(2, LONG, CONFIG.width))
    losses = [net.loss(frames, latents, rng(), noisy=noisy) for noisy in (True, False)]
    assert torch.equal(*losses)  # where the past is not seen, its noise makes no difference


@torch.no_grad()
def test_every_slot_asks_for_itself():
    features, _ = build().features(torch.randn(2, CONFIG.width, generator=rng()), M)
    apart = torch.cdist(features, features) + torch.eye(M)
    assert (apart > 1e-3).all()
