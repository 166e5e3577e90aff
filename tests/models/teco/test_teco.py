"""TECO and the models without latent dynamics: nothing is told of later frames and actions, the losses stand where they
should, and one model predicts with and without being told, beyond its training length.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

from flexlam_rl.models.interfaces import SteppedWorldModel, WorldModel
from flexlam_rl.models.stepping import step_by_step
from flexlam_rl.models.teco.blocks import PatchConv2d, PatchConvTranspose2d
from flexlam_rl.models.teco.config import PRESETS, TECOConfig, VQGANConfig, direct_config
from flexlam_rl.models.teco.direct import Direct
from flexlam_rl.models.teco.teco import TECO
from flexlam_rl.models.teco.temporal import at_times, kept_times
from flexlam_rl.models.teco.vqgan import VQGAN, Discriminator, adaptive_weight, hinge_losses
from flexlam_rl.nn.maskgit import draft_and_revise, draw_hidden
from flexlam_rl.nn.quantizers.vq import VQ

DEBUG = PRESETS["debug"]
TOLD = replace(DEBUG.teco, actions=3)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def video(rows: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (rows, frames, 3, 64, 64), generator=rng(seed), dtype=torch.uint8)


def codes(rows: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 16, (rows, frames, 8, 8), generator=rng(seed))


def build(config):
    """A model whose weights are large enough that everything it sees changes what it says."""
    torch.manual_seed(0)
    model = TECO(config) if isinstance(config, TECOConfig) else Direct(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("vqgan"):
                weight.add_(torch.randn(weight.shape, generator=rng(weight.numel())) * 0.2)
    return model


MODELS = {
    "teco": TOLD,
    "teco, 2x2 tokens": replace(TOLD, temporal=replace(TOLD.temporal, side=2)),
    "maskgit": direct_config(TOLD, "maskgit"),
    "ar": direct_config(TOLD, "ar"),
}


def past_latents(model, seen):
    """Latents of all frames but the last."""
    z = model.latents(seen)
    return (z[0] if isinstance(model, TECO) else z)[:, :-1]


def summaries(model, seen, told):
    return model.temporal(past_latents(model, seen), told[:, 1:])


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
@torch.no_grad()
def test_what_is_told_of_a_frame_depends_on_no_later_frame_or_action_and_on_all_earlier_ones(config):
    model, seen, told = build(config).eval(), codes(1, 5), torch.tensor([[-1, 0, 2, 1, 0]])
    before = summaries(model, seen, told)
    for t in range(5):
        other = seen.clone()
        other[:, t] = (other[:, t] + 5) % 16
        moved = (summaries(model, other, told) - before).abs().flatten(2).amax(-1)[0] > 1e-6
        # row s tells of frame s + 1: of frame t itself, nothing; of all later ones, something
        assert moved.tolist() == [s >= t for s in range(4)]
        if t:
            other = told.clone()
            other[:, t] = (other[:, t] + 1) % 3
            moved = (summaries(model, seen, other) - before).abs().flatten(2).amax(-1)[0] > 1e-6
            assert moved.tolist() == [s + 1 >= t for s in range(4)]


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
def test_training_and_prediction_tell_the_same_steps(config):
    model, seen = build(config).eval(), []
    model.temporal.register_forward_hook(lambda _, given, made: seen.append(given))
    told = torch.tensor([[-1, 0, 2, 1, 0]])
    model.loss(codes(1, 5), told, rng(), silent=False)
    past = past_latents(model, codes(1, 5))  # the loss of frame t is computed from the frames before t
    assert torch.allclose(seen[-1][0], past, atol=1e-6) and torch.equal(seen[-1][1], told[:, 1:])
    model.next_frame(model.remember(video(1, 3)), told[:, :4], rng())
    assert seen[-1][0].shape[1] == 3 and torch.equal(seen[-1][1], told[:, 1:4])


@torch.no_grad()
def test_a_frame_s_latents_depend_on_it_and_on_the_one_before_alone_and_the_first_is_not_quantized():
    model, seen = build(TOLD).eval(), codes(1, 5)
    z, quantized = model.latents(seen)
    assert torch.allclose(z.norm(dim=2), torch.ones(1, 5, 4, 4), atol=1e-5)
    assert torch.allclose(model.quantizer.lookup(quantized.codes).movedim(-1, 2), z[:, 1:], atol=1e-6)
    assert (z[0, 0].movedim(0, -1).flatten(0, 1) @ model.quantizer.codebook.T).amax() < 0.9999
    for t in range(5):
        other = seen.clone()
        other[:, t] = (other[:, t] + 5) % 16
        moved = (model.latents(other)[0] - z).abs().flatten(2).amax(-1)[0] > 1e-6
        assert not any(m for s, m in enumerate(moved.tolist()) if s not in (t, t + 1)) and moved[t]


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
def test_drop_loss_computes_and_trains_kept_times_alone(config):
    model, ran = build(config), {}
    parts = {"temporal.up": model.temporal.up, "prior.head": model.prior.head}
    if isinstance(model, TECO):
        parts["decoder"] = model.decoder.net[0]
    for name, part in parts.items():
        part.register_forward_hook(lambda _, given, made, name=name: ran.update({name: len(made)}))
    seen, told = codes(3, 5), torch.zeros(3, 5, dtype=torch.long)
    model.loss(seen, told, rng(), drop_loss=0.5)
    assert set(ran.values()) == {3 * 2}
    model.loss(seen, told, rng(), drop_loss=1.0)
    assert set(ran.values()) == {3}  # one at least
    times = kept_times(3, 4, 0.5, rng())
    assert times.shape == (3, 2) and (times.diff() > 0).all() and len({tuple(row) for row in times.tolist()}) > 1
    drawn = torch.cat([kept_times(50, 4, 0.75, rng(seed)).flatten() for seed in range(8)])
    assert (drawn.bincount(minlength=4) > 70).all()
    values = torch.arange(12).view(3, 4)
    assert torch.equal(at_times(values, times).view(3, 2), values.gather(1, times))


def test_loss_is_of_hidden_codes_alone():
    model, told = build(TOLD), torch.randn(2, 8, 4, 4, generator=rng())
    wanted = torch.randint(0, 16, (2, 16), generator=rng())
    seed = next(seed for seed in range(20) if not draw_hidden(2, 16, rng(seed)).all(1).any())
    before, shown = model.prior.loss(wanted, told, rng(seed)), []

    def spoiled(given, hidden, told, own=model.prior.logits):
        shown.append(hidden)
        return torch.where(hidden[..., None], own(given, hidden, told), torch.full((), 1e3))

    model.prior.logits = spoiled
    assert torch.equal(model.prior.loss(wanted, told, rng(seed)), before) and not shown[0].all()
    del model.prior.logits
    # codes that are hidden are not looked at
    hidden = torch.zeros(2, 16, dtype=torch.bool)
    hidden[:, 5:] = True
    other = wanted.clone()
    other[:, 5:] = 0
    assert torch.equal(model.prior.logits(wanted, hidden, told), model.prior.logits(other, hidden, told))


def test_every_part_gets_a_gradient_and_the_vqgan_none():
    for config in MODELS.values():
        model = build(config).train()
        out = model.loss(codes(4, 5), torch.zeros(4, 5, dtype=torch.long), rng(), drop_loss=0.0)
        out.loss.backward()
        silent = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not silent and all(p.grad is None for p in model.vqgan.parameters())
        assert not model.vqgan.training


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
def test_rollouts_with_and_without_actions_go_beyond_the_training_length(config):
    model = build(config).eval()
    assert isinstance(model, WorldModel) and isinstance(model, SteppedWorldModel)
    context, ahead = video(2, 3), torch.randint(0, 3, (2, 6), generator=rng())
    made = model.rollout(context, ahead, rng(1))  # 9 frames; it trains on 5
    assert made.shape == (2, 6, 3, 64, 64) and made.dtype == torch.uint8
    assert torch.equal(made, model.rollout(context, ahead, rng(1)))
    assert torch.equal(made[:, :4], model.rollout(context, ahead[:, :4], rng(1)))
    assert not torch.equal(made, model.rollout(context, (ahead + 1) % 3, rng(1)))
    silent = model.rollout(context, None, rng(1))
    assert silent.shape[1] == 2  # to the end of a training clip
    assert torch.equal(silent, model.rollout(context, torch.full((2, 2), -1), rng(1)))
    # each row has a stream of its own
    both = model.rollout(context, ahead[:, :2], [rng(5), rng(6)])
    assert torch.equal(both, model.rollout(context.flip(0), ahead[:, :2].flip(0), [rng(6), rng(5)]).flip(0))
    # what lies further back than a training clip does not count
    long, changed = video(1, 7), video(1, 7)
    changed[:, :3] = 255 - changed[:, :3]
    assert torch.equal(model.rollout(long, ahead[:1, :1], rng(1)), model.rollout(changed, ahead[:1, :1], rng(1)))
    told = step_by_step(model, context, ahead[:, :2], 2, rng(1), torch.ones(2, 2, dtype=torch.long))
    assert torch.equal(told, model.rollout(context, ahead[:, :2], rng(1), torch.ones(2, 2, dtype=torch.long)))


def test_whole_clips_are_told_nothing_and_prefixes_are_taken_as_numbers():
    model = build(replace(DEBUG.teco, latents=6))
    told = torch.ones(400, 5, 6)
    dropped = model.dropped(told, rng())
    kept = dropped.flatten(1).all(1)
    assert ((dropped.flatten(1) == 0).all(1) ^ kept).all() and 150 < int(kept.sum()) < 250
    assert (model.conditions.kind, model.conditions.count) == ("vectors", 6)
    assert model.rollout(video(1, 2), torch.rand(1, 2, 6), rng()).shape == (1, 2, 3, 64, 64)
    bare = build(DEBUG.teco)
    assert bare.conditions.kind == "nothing" and bare.rollout(video(1, 2), None, rng()).shape[1] == 3
    with pytest.raises(ValueError, match="it takes nothing"):
        bare.rollout(video(1, 2), torch.zeros(1, 2, 6), rng())
    with pytest.raises(ValueError, match=r"Actions lie in -1..3; expected -1..2"):
        build(TOLD).rollout(video(1, 2), torch.tensor([[0, 3]]), rng())


def test_a_draft_and_its_revisions_hide_what_they_draw():
    asked = []

    def predict(given, hidden):
        asked.append(hidden.sum(1).tolist())
        return torch.nn.functional.one_hot((torch.arange(9) * 2) % 5, 5).float().expand(3, 9, 5) * 50.0

    drawn = draft_and_revise(predict, 3, 9, 4, 2, 2, rng())
    assert torch.equal(drawn, ((torch.arange(9) * 2) % 5).expand(3, -1))
    # nine codes in four groups; then twice four of them in two
    assert [counts[0] for counts in asked] == [9, 6, 4, 2, 4, 2, 4, 2] and all(len(set(c)) == 1 for c in asked)
    assert torch.equal(draft_and_revise(predict, 3, 9, 4, 0, 2), drawn)

    def coupled(given, hidden):
        """Two codes that are always equal: 0 and 0, or 1 and 1."""
        known = torch.where(hidden, -1, given).amax(1)
        sure = torch.nn.functional.one_hot(known.clamp_min(0), 2).float() * 60.0
        return torch.where((known >= 0)[:, None], sure, torch.zeros(1, 2))[:, None].expand(-1, 2, -1)

    pairs = draft_and_revise(coupled, 400, 2, 2, 3, 1, rng())
    assert torch.equal(pairs[:, 0], pairs[:, 1]) and 150 < int(pairs[:, 0].sum()) < 250


def test_codes_of_length_one_stay_so():
    vq = VQ(8, 3, decay=0.5, normalise=True).train()
    z = (torch.randn(64, 3, generator=rng()) * 5).requires_grad_()
    for _ in range(3):
        found = vq(z)
    assert torch.allclose(vq.codebook.norm(dim=-1), torch.ones(8), atol=1e-5)
    assert torch.allclose(found.vectors.norm(dim=-1), torch.ones(64), atol=1e-5)
    vq.eval()
    assert torch.equal(vq(z * 3).codes, vq(z).codes)


def test_patches_that_do_not_overlap_are_torch_s_convolutions():
    torch.manual_seed(0)
    apart, together = PatchConv2d(3, 5, 4), PatchConvTranspose2d(5, 3, 4)
    x, tokens = torch.randn(2, 3, 8, 8), torch.randn(2, 4, 5)
    torch.testing.assert_close(apart(x), nn.Conv2d.forward(apart, x).flatten(2).transpose(1, 2))
    grid = tokens.transpose(1, 2).reshape(2, 5, 2, 2)
    torch.testing.assert_close(together(tokens), nn.ConvTranspose2d.forward(together, grid))


def test_the_adversarial_weight_is_the_ratio_of_gradients_and_each_side_trains_itself_alone():
    model, judge = VQGAN(DEBUG.vqgan), Discriminator(3, 8)
    frames = torch.rand(2, 3, 64, 64, generator=rng()) * 2 - 1
    made = model.pictures(model.quantize(frames).vectors)
    fooling, telling = hinge_losses(judge, frames, made)
    error = (made - frames).abs().mean()
    weight = adaptive_weight(error, fooling, model.last_weight)
    norms = [torch.autograd.grad(x, model.last_weight, retain_graph=True)[0].norm() for x in (error, fooling)]
    assert float(weight) == pytest.approx(float(norms[0] / (norms[1] + 1e-6)), rel=1e-5) and not weight.requires_grad
    fooling.backward(retain_graph=True)
    assert all(p.grad is None for p in judge.parameters()) and model.last_weight.grad is not None
    model.zero_grad(set_to_none=True)
    telling.backward()
    assert all(p.grad is not None for p in judge.parameters())
    assert all(p.grad is None for p in model.parameters())
    assert float(fooling.detach()) == pytest.approx(-float(judge(made).mean().detach()), rel=1e-5)


def test_paper_sizes_are_the_table_s():
    own = PRESETS["paper"].teco
    assert (own.vqgan.side, own.grid, own.frames, own.drop_loss) == (16, 8, 300, 0.9)
    assert (own.vqgan.base, own.vqgan.multipliers, own.vqgan.codes, own.vqgan.dim) == (128, (1, 2, 2, 2), 1024, 256)
    assert (own.depths, own.encoder_blocks, own.decoder_blocks, own.codes, own.dim) == ((256, 512), 2, 4, 1024, 32)
    time, prior = own.temporal, own.prior
    assert (time.side, time.width, time.hidden, time.heads, time.depth) == (1, 1024, 4096, 16, 8)
    assert (prior.width, prior.hidden, prior.heads, prior.depth) == (512, 2048, 8, 8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: VQGANConfig(halvings=4), "multipliers are"),
        (lambda: replace(TOLD, latents=4), "actions is 3 and latents 4"),
        (lambda: replace(TOLD, temporal=replace(TOLD.temporal, side=3)), "temporal.side is 3"),
        (lambda: replace(TOLD, drop_loss=1.5), "drop_loss is 1.5"),
        (lambda: replace(TOLD, frames=1), "frames is 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
