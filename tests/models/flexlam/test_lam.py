"""The latent action model: gradient, FSQ, prefixes, decoding."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from flexlam_rl.models.flexlam.config import PRESETS, EncoderConfig, LAMConfig, TranslatorConfig, fixed
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.flow_matching import sample_times

DEBUG = PRESETS["debug"].lam
MOTION = replace(
    DEBUG,
    encoder=replace(DEBUG.encoder, patch=4, stem="conv"),
    decoder=replace(DEBUG.decoder, patch=4, kind="motion"),
)


def frames(batch: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, batch, 3, 64, 64)
    a, b = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return a, b


def awake(model: nn.Module, seed: int = 0) -> None:
    """Move every zero-initialised parameter off zero, as a few steps of training do."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if not parameter.any():
            parameter.data.normal_(0, 0.05, generator=generator)


VELOCITY = replace(DEBUG, decoder=replace(DEBUG.decoder, predict="velocity"))
CONFIGS = {
    "flexlam": DEBUG,
    "velocity": VELOCITY,
    "motion": MOTION,
    "fixed4": fixed(VELOCITY, 4),
    "fixed2": fixed(DEBUG, 2, (5,)),
    "fixed motion": fixed(MOTION, 2),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_gradient_reaches_every_parameter(config: LAMConfig):
    torch.manual_seed(0)
    lam = LAM(config)
    awake(lam)
    lam(*frames(16), torch.Generator().manual_seed(0)).loss.backward()
    dead = [name for name, p in lam.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert dead == []
    assert lam.null.requires_grad == config.prefix


@pytest.mark.parametrize("config", [DEBUG, MOTION], ids=["transformer", "motion"])
def test_a_few_steps_reach_the_encoder_from_the_real_initialisation(config: LAMConfig):
    torch.manual_seed(0)
    lam = LAM(config)
    before = {name: p.detach().clone() for name, p in lam.named_parameters()}
    optimiser = torch.optim.AdamW(lam.parameters(), lr=1e-3, weight_decay=0.0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        optimiser.zero_grad()
        lam(*frames(8), generator).loss.backward()
        optimiser.step()
    still = [name for name, p in lam.named_parameters() if torch.equal(p, before[name])]
    assert still == []


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (5,), (7, 5, 5, 5, 5)])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "autocast"])
def test_every_code_survives_the_round_trip(levels, precision):
    lam = LAM(replace(DEBUG, levels=levels))
    codes = torch.arange(lam.code_count)[:, None]
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
        vectors = lam.embed(codes)
        assert len(torch.unique(vectors.reshape(len(codes), -1), dim=0)) == lam.code_count
        back = lam.quantizer.codes_of(vectors.to(torch.bfloat16).float() if precision == "bf16" else vectors)
    assert torch.equal(back.reshape(-1), codes[:, 0])


def test_codes_are_the_same_under_autocast_of_the_bottleneck():
    torch.manual_seed(0)
    lam = LAM(DEBUG)
    z = torch.randn(4, 4, 4)
    plain = lam.quantizer(z).codes
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(lam.quantizer(z).codes, plain)


def test_bfloat16_on_a_cpu_gives_the_same_loss_and_gradient_to_its_rounding():
    torch.manual_seed(0)
    lam = LAM(DEBUG)
    awake(lam)
    results = []
    for precise in (True, False):
        lam.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            loss = lam(*frames(32), torch.Generator().manual_seed(0)).loss
        loss.backward()
        results.append((float(loss.detach()), torch.cat([p.grad.flatten() for p in lam.decoder.parameters()])))
    (loss, gradient), (other, rounded) = results
    assert other == pytest.approx(loss, rel=0.02) and other != loss
    assert torch.cosine_similarity(gradient, rounded, dim=0) > 0.98


@pytest.mark.parametrize("config", [DEBUG, MOTION], ids=["transformer", "motion"])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_codes_after_k_change_nothing_bit_for_bit(k, config: LAMConfig):
    torch.manual_seed(0)
    lam = LAM(config)
    awake(lam)
    current, _ = frames(3)
    codes = torch.randint(0, lam.code_count, (3, 4))
    other = codes.clone()
    other[:, k:] = torch.randint(0, lam.code_count, (3, 4 - k))

    def seed() -> torch.Generator:
        return torch.Generator().manual_seed(5)

    assert torch.equal(lam.decode(current, codes, k, 2, seed()), lam.decode(current, other, k, 2, seed()))
    assert torch.equal(lam.keep_prefix(codes, k), lam.keep_prefix(other[:, :k], k) if k else lam.keep_prefix(other, 0))
    if k:
        other[:, 0] = (codes[:, 0] + 1) % lam.code_count
        assert not torch.equal(lam.decode(current, codes, k, 2, seed()), lam.decode(current, other, k, 2, seed()))


@pytest.mark.parametrize("conditioning", ["slots", "slots+action", "slots+frame", "slots+action+frame"])
def test_codes_after_k_do_not_change_the_translator_bit_for_bit(conditioning):
    torch.manual_seed(0)
    lam = LAM(DEBUG)
    translator = Translator(TranslatorConfig(slots=4, conditioning=conditioning, hidden=16, wide=32, depth=2))
    current, _ = frames(5)
    previous = torch.arange(5)[:, None] - 1
    codes, other = torch.randint(0, lam.code_count, (2, 5, 4))
    for k in range(5):
        mixed = torch.cat([codes[:, :k], other[:, k:]], dim=1)
        assert torch.equal(
            translator(lam.keep_prefix(codes, k), previous, current),
            translator(lam.keep_prefix(mixed, k), previous, current),
        )
    assert not torch.equal(
        translator(lam.keep_prefix(codes, 4), previous, current),
        translator(lam.keep_prefix(other, 4), previous, current),
    )
    moved = translator(lam.keep_prefix(codes, 2), previous.roll(1), current)
    still = translator(lam.keep_prefix(codes, 2), previous, current)
    assert torch.equal(moved, still) == ("action" not in conditioning)
    assert torch.equal(translator(lam.keep_prefix(codes, 2), previous, current.flip(0)), still) == (
        "frame" not in conditioning
    )


def test_training_and_inference_give_the_decoder_the_same_slots():
    torch.manual_seed(0)
    lam = LAM(DEBUG)
    current, following = frames(4)
    vectors, codes = lam.quantize(current, following)[:2]
    from flexlam_rl.nn.prefix import null_fill

    lengths = torch.tensor([0, 1, 2, 4])
    assert torch.allclose(null_fill(vectors, lengths, lam.null), lam.keep_prefix(codes, lengths), atol=1e-6)


def test_times_are_a_share_of_pure_noise_and_the_rest_inside():
    for share in (0.0, 0.1, 0.5):
        tau = sample_times(20_000, torch.Generator().manual_seed(0), share, -1.5, 0.7)
        assert abs((tau == 0).float().mean() - share) < 0.02 and tau.min() >= 0 and tau.max() < 1
        inside = tau[tau > 0].logit()
        assert abs(inside.mean() + 1.5) < 0.05 and abs(inside.std() - 0.7) < 0.05


def test_the_sampler_integrates_a_known_flow(monkeypatch):
    lam = LAM(DEBUG)
    current, target = frames(2)
    goal = target.float() / 127.5 - 1
    monkeypatch.setattr(
        lam.decoder, "forward", lambda noisy, tau, current, slots: (goal - noisy) / (1 - tau[:, None, None, None])
    )
    for steps in (1, 4, 9):
        out = lam.decode(current, torch.zeros(2, 4, dtype=torch.long), 4, steps, torch.Generator().manual_seed(0))
        assert torch.equal(out, target)


def test_bad_codes_and_lengths_are_named():
    lam = LAM(DEBUG)
    with pytest.raises(ValueError, match=r"codes lie in 0\.\.1000; expected 0\.\.999"):
        lam.embed(torch.tensor([[0, 1000]]))
    with pytest.raises(ValueError, match="prefix length 5 lies outside"):
        lam.keep_prefix(torch.zeros(1, 4, dtype=torch.long), 5)


def test_an_encoder_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="depth of the encoder is 0; expected at least 1"):
        EncoderConfig(depth=0)
