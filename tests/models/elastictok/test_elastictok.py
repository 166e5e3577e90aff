"""ElasticTok: what a block may depend on, prefixes that hold, a cache that changes nothing, growth, and its search."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.elastictok.config import PRESETS
from flexlam_rl.models.elastictok.elastictok import ElasticTok, squared_error
from flexlam_rl.models.elastictok.regressor import LengthRegressor, RegressorConfig
from flexlam_rl.models.elastictok.stepping import Stepper, search_clips
from flexlam_rl.models.elastictok.trunk import to_clips, to_tokens
from flexlam_rl.models.systems import load_model
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.pretrained import load_weights

LENGTHS = torch.tensor([[3, 8, 5], [2, 4, 7]])


def per_block(x: torch.Tensor) -> torch.Tensor:
    """(B, 3, ...) of clips or latents of three blocks, each flattened."""
    return x.unflatten(1, (3, -1)).flatten(2)


@pytest.mark.parametrize("bottleneck", ["fsq", "vae"])
def test_a_block_depends_on_itself_and_earlier_blocks_alone(small, clips, bottleneck):
    model, frames = small(bottleneck), clips()
    before, codes = model.reconstruct(frames, LENGTHS), model.encode(frames, LENGTHS)
    for j in range(3):
        changed, shorter = frames.clone(), LENGTHS.clone()
        changed[:, 2 * j : 2 * j + 2] = 255 - changed[:, 2 * j : 2 * j + 2]
        shorter[:, j] = 9 - shorter[:, j].clamp(max=7)
        for after in (model.reconstruct(changed, LENGTHS), model.reconstruct(frames, shorter)):
            moved = (per_block(after) != per_block(before)).any(2)
            assert not moved[:, :j].any() and moved[:, j:].all()
        moved = (per_block(model.encode(changed, LENGTHS)) != per_block(codes)).any(2)
        assert not moved[:, :j].any() and moved[:, j].all()
        # no gradient comes from later blocks either, and some from every earlier one
        pixels = (frames / 127.5 - 1).requires_grad_()
        tokens = to_tokens(pixels, model.config)
        out = to_clips(model.pixels(model.decoder(model.code(tokens, LENGTHS).kept)), model.config)
        out[:, 2 * j : 2 * j + 2].square().sum().backward()
        reached = (per_block(pixels.grad) != 0).any(2)
        assert reached[:, : j + 1].all() and not reached[:, j + 1 :].any()


@pytest.mark.parametrize("bottleneck", ["fsq", "vae"])
def test_what_stands_after_a_length_changes_nothing_and_gradient_goes_through_each_kept_code(small, clips, bottleneck):
    model, frames = small(bottleneck), clips()
    latents = model.encode(frames, LENGTHS)
    before = model.decode(latents, LENGTHS)
    kept = torch.arange(8) < LENGTHS[..., None]
    other = torch.full_like(latents, float("nan")) if bottleneck == "vae" else (latents + 1) % model.quantizer.codes
    mask = kept[..., None] if bottleneck == "vae" else kept
    assert torch.equal(model.decode(torch.where(mask, latents, other), LENGTHS), before)
    vectors = model.code(to_tokens(frames, model.config), LENGTHS).quantized.vectors.detach().requires_grad_()
    again = model.cut_vectors(vectors.unflatten(1, (3, 8)), LENGTHS)
    model.pixels(model.decoder(again)).square().sum().backward()
    assert torch.equal((vectors.grad != 0).any(-1).view(2, 3, 8), kept)


@pytest.mark.parametrize("bottleneck", ["fsq", "vae"])
def test_gradient_reaches_every_parameter(small, clips, bottleneck):
    model = small(bottleneck).train()
    out = model.loss(clips(), torch.Generator().manual_seed(0))
    out.loss.backward()
    untouched = [name for name, p in model.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert untouched == [] and bool((model.kept.weight.grad != 0).any(1).all())
    assert float(out.loss.detach()) == pytest.approx(float(out.figures["error"]), rel=1e-4)
    constant = small(bottleneck, least=8)
    constant.loss(clips(), torch.Generator().manual_seed(0)).loss.backward()
    assert not constant.null.requires_grad and constant.null.grad is None


def test_lengths_are_drawn_for_each_block_over_the_whole_range(small):
    model = small(least=3, most=6)
    drawn = model.sample_lengths(500, 3, torch.Generator().manual_seed(0))
    assert drawn.shape == (500, 3) and [int((drawn == n).sum()) > 300 for n in range(3, 7)] == [True] * 4
    assert drawn.min() == 3 and drawn.max() == 6
    assert float((torch.corrcoef(drawn.T.double()) - torch.eye(3)).abs().max()) < 0.15


def test_patches_are_frames_in_order_and_back():
    config = replace(PRESETS["debug", "fsq"], frames=4, patch_time=2, image_size=8, image_width=16, patch=4, least=1)
    frames = torch.arange(2 * 8 * 3 * 8 * 16.0).view(2, 8, 3, 8, 16)
    tokens = to_tokens(frames, config)
    assert tokens.shape == (2, 2 * config.tokens, 2 * 3 * 16) and config.tokens == 16 and config.grid == (2, 2, 4)
    assert set(tokens[0, 0].tolist()) == set(frames[0, :2, :, :4, :4].flatten().tolist())
    assert set(tokens[1, 16 + 8 + 5].tolist()) == set(frames[1, 6:, :, 4:, 4:8].flatten().tolist())
    assert torch.equal(to_clips(tokens, config), frames)


def test_a_cache_changes_nothing_however_often_a_block_is_tried(small, clips):
    model, frames = small(), clips()
    whole, codes = model.reconstruct(frames, LENGTHS), model.encode(frames, LENGTHS)
    stepper = Stepper(model, 2, 3)
    for i, part in enumerate(frames.split(2, dim=1)):
        for tried in (torch.tensor([8, 2]), torch.tensor([2, 8]), LENGTHS[:, i]):
            step = stepper.run(part, tried)
        stepper.keep()
        assert torch.allclose(step.frames, whole[:, 2 * i : 2 * i + 2], atol=1e-4)
        assert torch.equal(step.latents, codes[:, i])
    with pytest.raises(ValueError, match="All 3 blocks"):
        stepper.run(frames[:, :2], LENGTHS[:, 0])


def brute_force(model: ElasticTok, frames: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Costs (B, 7) of the last block of clips at each length, the earlier ones' given; everything is computed anew."""
    costs = []
    for length in range(2, 9):
        last = torch.full((len(frames), 1), length)
        every = last if lengths is None else torch.cat([lengths, last], 1)
        rebuilt = model.reconstruct(frames, every)[:, -2:]
        costs.append((rebuilt.clamp(-1, 1) - to_unit(frames[:, -2:])).square().flatten(1).mean(1))
    return torch.stack(costs, 1)


def test_full_search_is_brute_force_block_by_block_and_the_others_keep_their_promises(small, clips):
    model, frames = small(seed=1), clips(6)
    threshold = float(brute_force(model, frames[:, :2], None).amin(1).quantile(0.7)) + 1e-4
    found = search_clips(model, frames, threshold, "full")
    assert found.evaluations.eq(7).all()
    for i in range(3):
        costs = brute_force(model, frames[:, : 2 * i + 2], found.lengths[:, :i] if i else None)
        met = (costs <= threshold).any(1)
        wanted = torch.where(met, (costs <= threshold).int().argmax(1) + 2, 8)
        assert torch.equal(found.lengths[:, i], wanted) and torch.equal(found.met[:, i], met)
        assert torch.allclose(found.costs[:, i], costs[torch.arange(6), wanted - 2], atol=1e-5)
    assert 0 < int(found.met.sum()) < 18 and len(found.lengths.unique()) > 3
    assert torch.allclose(found.frames, model.reconstruct(frames, found.lengths), atol=1e-4)
    assert torch.equal(found.latents, model.encode(frames, found.lengths))
    binary = search_clips(model, frames, threshold, "binary")
    assert int(binary.evaluations.max()) <= 3 and bool((binary.costs <= threshold)[binary.met].all())
    binned = search_clips(model, frames[:, :2], threshold, "binned", bins=3)
    assert bool((binned.lengths >= found.lengths[:, :1]).all()) and set(binned.lengths.unique().tolist()) <= {2, 5, 8}
    # a threshold per clip, and any distance, differentiable or not
    never = search_clips(model, frames[:2], torch.tensor([0.0, 9.0]), "binary")
    assert never.lengths.tolist() == [[8] * 3, [2] * 3] and never.met.tolist() == [[False] * 3, [True] * 3]
    first = frames[:, :2]

    def far(truth: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        return ((to_unit(truth) - given.clamp(-1, 1)).abs() > 0.9).float().flatten(1).mean(1)

    each = torch.stack([far(first, model.reconstruct(first, length)) for length in range(2, 9)], 1)
    limit = float(each[:, 3].median()) + 1e-4
    counted = search_clips(model, first, limit, "full", distance=far)
    good = each <= limit
    assert torch.equal(counted.met[:, 0], good.any(1)) and good.any(1).any()
    assert torch.equal(counted.lengths[:, 0], torch.where(good.any(1), good.int().argmax(1) + 2, 8))


def test_more_blocks_take_the_weights_of_one_and_the_first_block_comes_out_the_same(small, clips, tmp_path):
    one = small(blocks=1)
    one.save_pretrained(tmp_path)
    assert isinstance(load_model(tmp_path), ElasticTok)
    several = ElasticTok(replace(one.config, blocks=3)).eval()
    load_weights(several, tmp_path)
    first = one.reconstruct(clips()[:, :2], 5)
    assert torch.equal(several.reconstruct(clips()[:, :2], 5), first)
    assert torch.allclose(several.reconstruct(clips(), 5)[:, :2], first, atol=1e-5)
    with pytest.raises(ValueError, match="with T of 2 frames"):
        one.reconstruct(clips(), 5)


def test_the_papers_sizes_have_its_number_of_parameters():
    for bottleneck, tokens in (("fsq", 4096), ("vae", 2048)):
        config = PRESETS["paper", bottleneck]
        with torch.device("meta"):
            count = sum(p.numel() for p in ElasticTok(config).parameters())
        assert config.tokens == tokens and 209e6 < count < 212e6


def test_a_regressor_guesses_each_block_from_what_came_so_far(small, clips):
    model = small()
    regressor = LengthRegressor(RegressorConfig(model.config, 0.01, 1.0))
    regressor.begin_as(model)
    own, taken = model.encoder.state_dict(), regressor.encoder.state_dict()
    assert all(torch.equal(own[name], taken[name]) for name in own)
    torch.nn.init.normal_(regressor.head.weight, generator=torch.Generator().manual_seed(0))
    frames = clips(4)
    guess = regressor.eval().guess(frames, 0.1)
    assert guess.shape == (4, 3) and len(guess.unique()) > 1 and guess.min() >= 2 and guess.max() <= 8
    changed = frames.clone()
    changed[:, 4:] = 255 - changed[:, 4:]
    log = regressor(frames, torch.full((4,), 0.1))
    moved = (regressor(changed, torch.full((4,), 0.1)) - log).abs() > 1e-5
    assert not moved[:, :2].any() and moved[:, 2].all()
    assert not torch.allclose(regressor(frames, torch.full((4,), 0.9)), log)
    found = search_clips(model, frames, 0.1, "regressed", regressor=regressor)
    assert torch.equal(found.lengths, guess) and found.evaluations.eq(1).all()
    assert torch.equal(found.met, found.costs <= 0.1)
    near = search_clips(model, frames, 0.6, "binary", regressor=regressor)
    assert bool((near.costs <= 0.6)[near.met].all())
    for threshold in (0.001, 2.0, float("nan")):
        with pytest.raises(ValueError, match=r"this regressor knows 0\.01 to 1"):
            regressor.guess(frames, threshold)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, x: m.encode(x[:, :3], 4), r"shape \(2, 3, 3, 16, 16\); expected .* 1 to 3 times 2 frames"),
        (lambda m, x: m.encode(x[0], 4), "Clips have shape"),
        (lambda m, x: m.encode(x.float(), 4), "Float frames lie in"),
        (lambda m, x: m.encode(x, 1), "length is 1; expected a whole number, 2 to 8"),
        (lambda m, x: m.encode(x, LENGTHS[:, :2]), r"expected int64 \(2, 3\)"),
        (lambda m, x: m.encode(x, LENGTHS + 1), "Lengths include 9; this model keeps 2 to 8"),
        (lambda m, x: m.decode(torch.zeros(2, 4, 8, dtype=torch.int64), 4), "Latents have shape"),
        (lambda m, x: m.decode(torch.zeros(2, 3, 8), 4), "expected codes, int64"),
        (lambda m, x: m.decode(torch.full((2, 3, 8), 64_000), 4), r"Codes include 64000; expected 0\.\.63999"),
        (lambda m, x: search_clips(m, x, 0.1, "regressed"), "no regressor is given"),
        (lambda m, x: search_clips(m, x, 0.1, "best"), "how is 'best'"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(small, clips, call, said):
    with pytest.raises(ValueError, match=said):
        call(small(), clips())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"patch_time": 3}, "patch_time is 3, which does not divide"),
        ({"patch": 5}, "the autoencoder's patch is 5"),
        ({"least": 9}, "least is 9; expected a whole number, 1 to 8"),
        ({"most": 1}, "most is 1; expected a whole number, 2 to 8"),
        ({"width": 18}, "width is 18; expected a multiple of twice the heads, 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(small, changes, said):
    with pytest.raises(ValueError, match=said):
        small(**changes)


def test_the_squared_error_is_of_what_can_be_shown():
    truth, given = torch.full((1, 1, 3, 2, 2), 255, dtype=torch.uint8), torch.full((1, 1, 3, 2, 2), 3.0)
    assert float(squared_error(truth, given)) == 0.0 and float(squared_error(truth, -given)) == 4.0
