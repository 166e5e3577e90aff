"""Midway and LaMo: what depends on what, what trains, and what stands still."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from flexlam_rl.models import interfaces
from flexlam_rl.models.lamo.collapse import collapse_figures, effective_rank, signs_of_collapse
from flexlam_rl.models.lamo.config import PRESETS
from flexlam_rl.models.lamo.distillation import random_view
from flexlam_rl.models.lamo.lamo import LaMo
from flexlam_rl.models.lamo.midway import Midway
from flexlam_rl.models.stepping import step_by_step

DEBUG = PRESETS["debug"]
OWN = DEBUG.midway


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def video(rows: int = 2, frames: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (rows, frames, 3, 64, 64), generator=rng(seed), dtype=torch.uint8)


def spread(model: torch.nn.Module) -> torch.nn.Module:
    """Weights far from initialization, where gates and heads pass on next to nothing."""
    for i, parameter in enumerate(model.parameters()):
        parameter.data = torch.randn(parameter.shape, generator=rng(i)) * (0.3 if parameter.ndim > 1 else 0.1)
    return model.eval()


@pytest.fixture(scope="module")
def midway():
    torch.manual_seed(0)
    return spread(Midway(OWN))


def lamo(**changes) -> LaMo:
    torch.manual_seed(0)
    return spread(LaMo(replace(DEBUG.lamo, **changes)))


def test_motion_is_refined_from_the_top_by_what_the_level_above_has_not_predicted(midway):
    now, after = (midway.encode(frames) for frames in video().unbind(1)[:2])
    found = midway.transition(now, after)
    above, motion = now[:, -1], torch.zeros(2, OWN.tokens, OWN.motion_dim)
    for level in (2, 1, 0):
        motion = motion + midway.inverse[level](above, after[:, level])
        assert torch.allclose(found.motion[:, level], motion, atol=1e-5)
        above = midway.forward_models[level](now[:, level], motion)
        assert torch.allclose(found.predicted[:, level], above, atol=1e-5)
    assert torch.equal(midway.advance(now[:, :-1], found.motion), found.predicted)
    # the top level of the next frame is never looked at
    changed = after.clone()
    changed[:, -1] += 1
    assert torch.equal(midway.transition(now, changed).motion, found.motion)
    changed[:, 0] = after[:, 0].flip(-1)
    moved = midway.transition(now, changed).motion - found.motion
    assert not moved[:, 1:].any() and moved[:, 0].abs().max() > 1e-3


def test_a_fresh_forward_model_keeps_nearly_all_and_states_are_normed(midway):
    torch.manual_seed(0)
    fresh, state = Midway(OWN), midway.encode(video()[:, 0])
    assert torch.allclose(state.mean(-1), torch.zeros(()), atol=1e-5)
    assert torch.allclose(state.var(-1, correction=0), torch.ones(()), atol=1e-3)
    ahead = fresh.advance(state[:, :-1], torch.zeros(2, 3, OWN.tokens, OWN.motion_dim))
    assert F.cosine_similarity(ahead, state[:, :-1], dim=-1).min() > 0.99
    assert (ahead - state[:, :-1]).abs().max() > 1e-3


def test_the_teacher_is_the_exact_average_of_the_weights_after_each_step():
    torch.manual_seed(0)
    model = Midway(replace(OWN, momentum=0.8)).train()
    average = copy.deepcopy(list(model.student.parameters()))
    optimizer, frames, generator = torch.optim.SGD(model.parameters(), 0.1), video(4), rng()
    for _ in range(3):
        optimizer.zero_grad()
        model.loss(frames[:, 0], frames[:, 1], generator).loss.backward()
        assert all(parameter.grad is None for parameter in model.teacher.parameters())
        optimizer.step()
        for mean, weight in zip(average, model.student.parameters(), strict=True):
            mean.data = 0.8 * mean.data + 0.2 * weight.data
    center = model.center.mean.clone()
    model.eval().loss(frames[:, 0], frames[:, 1], generator)
    assert torch.equal(center, model.center.mean) and center.any(), "an evaluation moves nothing"
    model.update_teacher()
    for mean, weight in zip(average, model.teacher.parameters(), strict=True):
        assert torch.allclose(mean, weight, atol=1e-6)


def test_gradient_reaches_all_of_midway_that_trains():
    torch.manual_seed(0)
    model, frames = Midway(OWN), video(4)
    model.loss(frames[:, 0], frames[:, 1], rng()).loss.backward()
    lacking = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not lacking, lacking


def test_views_are_parts_of_the_picture():
    across = torch.linspace(-1, 1, 64).expand(3, 1, 64, 64)
    seen = random_view(across, rng())
    steps = seen.diff(dim=-1)[..., 8:-8].abs() / (2 / 63)
    assert (steps > 0.4).all() and (steps < 1.1).all() and seen.abs().max() <= 1
    assert torch.equal(seen, random_view(across, rng())) and not torch.equal(seen[0], seen[1])


def test_signs_of_collapse_are_found_and_named(midway):
    healthy = midway.diagnose(*video(16).unbind(1)[:2])
    assert healthy["rank_0"] > 2 and healthy["spread_0"] > 0.1
    generator = rng()
    now, after = torch.randn(2, 8, 1, 4, 6, generator=generator)
    motion = torch.randn(8, 1, 2, 3, generator=generator)
    assert signs_of_collapse(collapse_figures(now, after, after, now, motion)) == []
    same = after[:1].expand(8, -1, -1, -1)
    assert any("hardly differ" in said for said in signs_of_collapse(collapse_figures(now, same, same, now, motion)))
    said = signs_of_collapse(collapse_figures(now, after, now, now, motion))
    assert len(said) == 2 and "no better" in said[0] and "does not use its motion" in said[1]
    line = torch.randn(50, 1, generator=generator) * torch.randn(1, 6, generator=generator)
    assert float(effective_rank(line)) == pytest.approx(1.0, abs=1e-6)
    assert float(effective_rank(torch.eye(6) - torch.eye(6).mean(0))) == pytest.approx(5.0, abs=1e-6)


@pytest.mark.parametrize("predict", ["motion", "state"])
@pytest.mark.parametrize("head", ["flow", "mixture"])
def test_gradient_reaches_what_trains_and_nothing_frozen(predict, head):
    torch.manual_seed(0)
    model, frames = LaMo(replace(DEBUG.lamo, predict=predict, head=head)).train(), video(4)
    assert not model.pixels.midway.training
    before = {name: value.clone() for name, value in model.pixels.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    for _ in range(3):  # layers that begin at zero pass on no gradient, but get one
        optimizer.zero_grad()
        model.loss(frames, rng()).loss.backward()
        optimizer.step()
    assert all(p.grad is None and not p.requires_grad for p in model.pixels.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.pixels.state_dict().items())
    trained = [(n, p) for n, p in model.named_parameters() if not n.startswith("pixels.")]
    lacking = [name for name, p in trained if p.grad is None or not p.grad.any()]
    assert not lacking, lacking


def test_baseline_and_lamo_are_of_equal_capacity():
    sizes = {}
    for predict in ("motion", "state"):
        model = LaMo(replace(PRESETS["tiny"].lamo, predict=predict))
        sizes[predict] = sum(p.numel() for p in model.context.layers.parameters())
    assert sizes["motion"] == sizes["state"] > 0


def test_noise_on_the_context_can_be_switched_off_and_its_size_is_drawn_per_row():
    model, frames = lamo(), video()
    states, motion = model.observed(frames)
    inputs = states[:, :-1], motion[:, :-1]
    clean = model.features(*inputs)[0]
    assert (model.features(*inputs, rng())[0] - clean).abs().max() > 1e-4
    still = lamo(noise=0.0)
    assert torch.equal(still.features(*inputs, rng())[0], clean)
    sizes = []
    same = tuple(x[:1].expand(64, *x.shape[1:]) for x in inputs)
    inner = model.context.forward

    def seen(states, past):
        sizes.append((states - model.states_scale.enter(same[0][:, -1:])).flatten(1).std(1))
        return inner(states, past)

    model.context.forward = seen
    model.features(*same, rng())
    assert sizes[0].min() < 0.1 and sizes[0].max() > 0.9 and float(sizes[0].mean()) == pytest.approx(0.5, abs=0.1)


def test_only_the_last_motions_and_the_current_state_count():
    model, frames = lamo(), video()
    states, motion = model.observed(frames[:, :4])
    base = model.features(states, motion)[0]
    past = states.clone()
    past[:, :-1] += 1
    assert torch.equal(model.features(past, motion)[0], base)
    for i in range(3):
        changed = motion.clone()
        changed[:, i] += 1
        assert (model.features(states, changed)[0] - base).abs().amax() > 1e-3
    baseline = lamo(predict="state")
    base = baseline.features(states, motion)[0]
    assert torch.equal(baseline.features(states, motion + 1)[0], base)
    assert (baseline.features(past, motion)[0] - base).abs().amax() > 1e-3


@pytest.mark.parametrize("head", ["flow", "mixture"])
def test_a_rollout_slides_its_window_and_moves_the_state_by_the_frozen_forward_model(head):
    model, frames = lamo(head=head), video(2, 6)
    assert isinstance(model, interfaces.WorldModel)
    made = model.rollout(frames, None, rng(), 5)
    assert made.shape == (2, 5, 3, 64, 64) and made.dtype == torch.uint8
    assert torch.equal(made, model.rollout(frames, None, rng(), 5))
    assert not torch.equal(made, model.rollout(frames, None, rng(1), 5))
    assert torch.equal(made, model.rollout(frames[:, 2:], None, rng(), 5)), "frames before the window count"
    both = model.rollout_states(frames, None, [rng(3), rng(4)], 2)
    for row in (0, 1):
        alone = model.rollout_states(frames[row : row + 1], None, [rng(3 + row)], 2)
        assert torch.allclose(both[row], alone[0], atol=1e-4)
    found = model.rollout_states(frames, None, rng(), 5)
    states, motion = model.observed(frames[:, -4:])
    generator = rng()
    for step in range(5):
        features, summary = model.features(states, motion)
        noise = torch.randn(features.shape[0], features.shape[1], OWN.motion_dim, generator=generator)
        choice = torch.rand(2, generator=generator)
        drawn = model.head.sample(features, summary, noise, choice, 3)
        ahead = model.motion_scale.leave(drawn.unflatten(1, (3, OWN.tokens)))
        state = model.midway.advance(states[:, -1], ahead)
        assert torch.allclose(found[:, step], state, atol=1e-4)
        states = torch.cat([states[:, 1:], state[:, None]], 1)
        motion = torch.cat([motion[:, 1:], ahead[:, None]], 1)
    given = torch.randn(2, 5, 3, OWN.tokens, OWN.motion_dim, generator=rng())
    told = model.rollout_states(frames, given)
    state = model.observed(frames)[0][:, -1]
    for step in range(5):
        state = model.midway.advance(state, given[:, step])
        assert torch.allclose(told[:, step], state, atol=1e-5)
    assert torch.equal(model.pixels.decode(told[:, 2]), model.rollout(frames, given)[:, 2])


@pytest.mark.parametrize("predict", ["motion", "state"])
def test_stepped_frame_by_frame_it_predicts_what_a_rollout_does(predict):
    model, frames = lamo(predict=predict), video(2, 6)
    assert isinstance(model, interfaces.SteppedWorldModel)
    made = step_by_step(model, frames, None, 5, rng())
    assert (made.int() - model.rollout(frames, None, rng(), 5).int()).abs().max() <= 1
    assert made.shape == (2, 5, *model.frame_shape) and (made[:, 0] != made[:, 4]).any()


def test_more_steps_of_the_flow_converge():
    model, frames = lamo(), video()
    rough, fine, finer = (model.rollout_states(frames, None, rng(), 1, steps) for steps in (2, 40, 80))
    assert (fine - finer).abs().mean() < 0.2 * (rough - finer).abs().mean()


@pytest.mark.parametrize(
    ("context", "options", "said"),
    [
        (video(1, 3), {}, "context has shape .* at least 4 frames"),
        (video(1, 4)[..., :32], {}, "Frames have shape"),
        (video(1, 4), {"horizon": 0}, "horizon is 0"),
        (video(1, 4), {"steps": 0}, "steps is 0"),
        (video(1, 4), {"latents": torch.zeros(1, 2, 3)}, "expected motion of shape"),
    ],
)
def test_what_a_rollout_cannot_use_is_refused_in_a_sentence(context, options, said):
    with pytest.raises(ValueError, match=said):
        lamo().rollout(context, **options)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"taps": (3, 2)}, "taps is"),
        ({"taps": (0, 4)}, "taps is"),
        ({"momentum": 2.0}, "momentum"),
        ({"tokens": 0}, "tokens"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        replace(OWN, **changes)
