"""VideoGPT: what each code may depend on, likelihoods that add up to one, and a cache that changes nothing."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from flexlam_rl.models.interfaces import FrameDensity, WorldModel
from flexlam_rl.models.systems import load_model
from flexlam_rl.models.videogpt.config import PRESETS, VIPER_PRESETS, PriorConfig, VideoGPTConfig, VQVAEConfig
from flexlam_rl.models.videogpt.masks import causal_masks
from flexlam_rl.models.videogpt.prior import Prior, Told
from flexlam_rl.models.videogpt.stepping import sample_codes
from flexlam_rl.models.videogpt.videogpt import VideoGPT
from flexlam_rl.models.videogpt.vqvae import VQVAE


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Codebooks are drawn when a model is made."""
    torch.manual_seed(0)


def spread(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights far from their beginning, where little depends on anything."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model.eval()


def small(per_frame: bool = True, **prior: object) -> VideoGPTConfig:
    sizes = (VIPER_PRESETS if per_frame else PRESETS)["debug"]
    return VideoGPTConfig(replace(sizes.vqvae, image_size=32, down_space=16), replace(sizes.prior, **prior))


def clips(count: int = 2, frames: int = 4, size: int = 32, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, frames, 3, size, size), generator=generator, dtype=torch.uint8)


def random_codes(prior: Prior, rows: int = 2, seed: int = 0) -> torch.Tensor:
    shape = (rows, *prior.grid, prior.codebooks)
    return torch.randint(0, prior.codes, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("attention", ["full", "sparse"])
@pytest.mark.parametrize("codebooks", [1, 2])
def test_a_code_changes_no_logits_up_to_its_own_and_all_after_it(attention, codebooks):
    config = small(attention=attention, local=2)
    config = replace(config, vqvae=replace(config.vqvae, codebooks=codebooks))
    prior = spread(Prior(config))
    codes = random_codes(prior, 1)
    with torch.no_grad():
        before = prior.logits(codes, Told())
        for j in range(codes.numel()):
            changed = codes.flatten().clone()
            changed[j] = (changed[j] + 1) % prior.codes
            after = prior.logits(changed.view_as(codes), Told())
            moved = (after - before).abs().amax(-1)[0] > 0
            assert not moved[: j + 1].any(), j
            # two layers of the sparse kind reach everything too
            assert moved[j + 1 :].all(), j


def test_sparse_masks_leave_most_out_and_two_of_them_reach_everything():
    near, strided = causal_masks((4, 4, 4), 2, True, 3)
    full = torch.ones(128, 128, dtype=torch.bool).tril()
    assert not (near & ~full).any() and not (strided & ~full).any()
    assert near.sum() + strided.sum() < full.sum()
    for first, second in ((near, strided), (strided, near)):
        assert torch.equal((first.float() @ second.float()) > 0, full)


def test_probabilities_of_all_clips_add_up_to_one():
    vqvae = VQVAEConfig(
        image_size=2, frames=2, down_time=1, down_space=1, per_frame=True, codes=3, dim=2, hidden=4, units=4, blocks=0
    )
    # a grid of one by two places, two steps: 81 clips of three codes
    prior = Prior(VideoGPTConfig(vqvae, PriorConfig(width=8, depth=1, heads=2, hidden=8)))
    prior.grid = (2, 1, 2)
    prior.positions = torch.nn.ParameterList([torch.randn(size, 8) for size in (2, 1, 2, 1)])
    spread(prior)
    every = torch.tensor(list(product(range(3), repeat=4))).view(81, 2, 1, 2, 1)
    with torch.no_grad():
        total = prior.log_probs(every, Told()).double().sum(1).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-5)


TOLD = {
    "actions": ({"actions": 5}, Told(actions=torch.tensor([[-1, 0, 4, 2], [-1, 1, 1, 3]]))),
    "latents": ({"latents": 3}, Told(latents=torch.linspace(-1, 1, 24).view(2, 4, 3))),
    "tasks": ({"tasks": ("a", "b")}, Told(tasks=torch.tensor([0, 1]))),
    "context": ({"context_frames": 1}, Told(context=torch.linspace(-0.5, 0.5, 2 * 3 * 32 * 32).view(2, 1, 3, 32, 32))),
}


@pytest.mark.parametrize("attention", ["full", "sparse"])
def test_cached_sampling_equals_sampling_without_a_cache(attention):
    options = {name: value for given, _ in TOLD.values() for name, value in given.items()}
    told = Told(**{kind: getattr(one, kind) for kind, (_, one) in TOLD.items()})
    prior = spread(Prior(small(attention=attention, local=2, **options)))
    prime = random_codes(prior)[:, :1]
    with torch.no_grad():
        cached, plain = (
            sample_codes(prior, 2, told, prime, torch.Generator().manual_seed(3), top=8, cached=way)
            for way in (True, False)
        )
    assert torch.equal(cached, plain) and torch.equal(cached[:, :1], prime)
    assert len(cached[:, 1:].unique()) > 3


@pytest.mark.parametrize("kind", ["actions", "latents"])
def test_what_led_to_a_frame_changes_its_codes_and_later_ones_alone(kind):
    options, told = TOLD[kind]
    prior = spread(Prior(small(**options)))
    codes = random_codes(prior)
    with torch.no_grad():
        before = prior.logits(codes, told)
        for t in range(4):
            value = getattr(told, kind).clone()
            value[:, t] = value[:, t] + 1 if kind == "latents" else (value[:, t] + 1) % 5
            after = prior.logits(codes, told._replace(**{kind: value}))
            moved = (after - before).abs().amax(-1)[0] > 0
            assert not moved[: t * prior.per_step].any() and moved[t * prior.per_step :].all()


@pytest.mark.parametrize("kind", ["tasks", "context"])
def test_tasks_and_seen_frames_change_every_code(kind):
    options, told = TOLD[kind]
    prior = spread(Prior(small(**options)))
    other = told._replace(**{kind: getattr(told, kind).flip(0)})
    codes = random_codes(prior)
    with torch.no_grad():
        assert ((prior.logits(codes, told) - prior.logits(codes, other)).abs().amax(-1) > 0).all()


def test_frames_one_by_one_are_as_likely_as_whole_clips_and_depend_on_no_later_frame():
    model = spread(VideoGPT(small()))
    assert isinstance(model, FrameDensity) and isinstance(model, WorldModel)
    frames = clips()
    whole = model.log_prob(frames)
    progress = model.begin(2)
    single = torch.stack([model.observe(progress, frames[:, t]).flatten(1).sum(1) for t in range(4)], dim=1)
    assert torch.allclose(whole, single, atol=1e-4)
    with pytest.raises(ValueError, match="0 are left of the clip"):
        model.observe(progress, frames[:, 0])
    for t in range(4):
        changed = frames.clone()
        changed[:, t] = 255 - changed[:, t]
        moved = (model.log_prob(changed) - whole).abs() > 1e-6
        assert not moved[:, :t].any() and moved[:, t].all()
    assert torch.allclose(model.log_prob(frames[:, :2]), whole[:, :2], atol=1e-5)


def test_frames_that_share_codes_share_their_likelihood():
    model = spread(VideoGPT(small(per_frame=False)))
    logs = model.log_prob(clips())
    assert logs.shape == (2, 4) and torch.equal(logs[:, 0], logs[:, 1])
    assert torch.allclose(logs.sum(1), model.code_log_probs(clips()).flatten(1).sum(1), atol=1e-4)
    with pytest.raises(ValueError, match="belong to several frames"):
        model.begin(2)
    with pytest.raises(ValueError, match="Clips have 2 frames; this model takes 4"):
        model.log_prob(clips(frames=2))


def test_rollout_keeps_to_actions_and_context_and_is_repeatable():
    options, _ = TOLD["actions"]
    model = spread(VideoGPT(small(**options)))
    context, ahead = clips(frames=2), torch.tensor([[0, 1], [2, 3]])
    one, two, other = (
        model.rollout(context, actions, torch.Generator().manual_seed(0)) for actions in (ahead, ahead, ahead + 1)
    )
    assert one.shape == (2, 2, 3, 32, 32) and one.dtype == torch.uint8
    assert torch.equal(one, two) and not torch.equal(one, other)
    with pytest.raises(ValueError, match="clips of 4 frames"):
        model.rollout(context, torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"expected -1\.\.4"):
        model.rollout(context, torch.full((2, 1), 5))
    seer = spread(VideoGPT(small(per_frame=False, context_frames=2)))
    assert seer.rollout(context, None).shape == (2, 2, 3, 32, 32)
    with pytest.raises(ValueError, match="this model sees 2"):
        seer.rollout(clips(frames=1), None)


@pytest.mark.parametrize("attention", [True, False])
def test_the_vqvae_rebuilds_the_clips_shape_and_its_grid_is_what_it_says(attention):
    config = replace(PRESETS["debug"].vqvae, image_size=32, down_time=2, down_space=8, attention=attention, codebooks=2)
    model = spread(VQVAE(config))
    codes = model.encode(clips())
    assert codes.shape == (2, 2, 4, 4, 2) and model.decode(codes).shape == (2, 4, 3, 32, 32)
    kinds = [type(m).__name__ for m in model.modules()]
    assert ("AxialAttention" in kinds) is attention
    with pytest.raises(ValueError, match=r"Codes include 16; expected 0\.\.15"):
        model.decode(codes * 0 + 16)
    with pytest.raises(ValueError, match=r"expected \(B, 4, 3, 32, 32\)"):
        model.encode(clips(size=16))


@torch.no_grad()
def test_the_error_is_divided_by_the_datas_variance_where_it_is_normalised():
    config, errors = replace(PRESETS["debug"].vqvae, image_size=32, variance=0.05), []
    for normalise in (False, True):
        torch.manual_seed(0)
        out = VQVAE(replace(config, normalise=normalise)).eval().loss(clips())
        errors.append(out.loss - out.figures["commitment"])
        assert float(out.figures["nmse"]) == pytest.approx(float(errors[0]) / 0.05, rel=1e-4)
    assert float(errors[1]) == pytest.approx(float(errors[0]) / 0.05, rel=1e-4)


def test_axial_attention_looks_along_every_axis():
    config = replace(PRESETS["debug"].vqvae, image_size=32, down_time=1, down_space=8)
    model = spread(VQVAE(config))
    x = torch.zeros(1, 8, 4, 4, 4)
    block = model.encoder.blocks[0].attention
    with torch.no_grad():
        before = block(x, model.positions)
        y = x.clone()
        y[0, :, 1, 2, 3] = 1.0
        moved = ((block(y, model.positions) - before).abs().amax(1)[0] > 0).nonzero().tolist()
    assert sorted(moved) == sorted(
        [t, h, w] for t, h, w in product(range(4), repeat=3) if ((t != 1) + (h != 2) + (w != 3)) <= 1
    )


def test_masked_pixels_change_nothing():
    model = spread(VideoGPT(replace(small(), vqvae=replace(small().vqvae, mask=(0, 8, 0, 32)))))
    frames = clips()
    other = frames.clone()
    other[..., :8, :] = 0
    assert torch.equal(model.log_prob(frames), model.log_prob(other))
    other[..., 8:16, :] = 0
    assert not torch.equal(model.log_prob(frames), model.log_prob(other))


def test_a_saved_model_is_found_by_its_class_and_is_as_it_was(tmp_path):
    model = spread(VideoGPT(small(tasks=("a", "b"))))
    model.save_pretrained(tmp_path)
    again = load_model(tmp_path)
    told = Told(tasks=torch.tensor([1, 0]))
    assert torch.equal(model.log_prob(clips(), told), again.eval().log_prob(clips(), told))
    with pytest.raises(ValueError, match="tasks is None; this prior needs it"):
        model.log_prob(clips())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"down_time": 3}, "down_time is 3; expected a power of two"),
        ({"per_frame": True}, "codes per frame need down_time 1"),
        ({"codebooks": 3}, "dim 256 is not a multiple of codebooks 3"),
        ({"mask": (0, 65, 0, 3)}, "mask is"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_a_sentence(options, said):
    with pytest.raises(ValueError, match=said):
        VQVAEConfig(**options)
