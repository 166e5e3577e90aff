"""Quantizers: one interface, found by name, each a bottleneck of the latent action model."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from flexlam_rl.models.flexlam.config import PRESETS, LAMConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.nn.pretrained import CheckpointError, from_json, to_json
from flexlam_rl.nn.quantizers import QUANTIZERS, Quantized, Quantizer, build_quantizer
from flexlam_rl.nn.quantizers.continuous import Gaussian
from flexlam_rl.nn.quantizers.fsq import FSQ
from flexlam_rl.nn.quantizers.vq import VQ

DEBUG = PRESETS["debug"].lam


class Nearest(Quantizer):
    """Learned vectors; the nearest one is taken."""

    def __init__(self, size: int, dim: int = 3) -> None:
        super().__init__()
        self.dim, self.codes = dim, size
        self.table = nn.Parameter(torch.randn(size, dim))

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        codes = torch.cdist(z.flatten(0, -2), self.table).argmin(-1).view(z.shape[:-1])
        found = self.table[codes]
        return Quantized(z + (found - z).detach(), codes, (found - z.detach()).square().mean())

    def lookup(self, codes: Tensor) -> Tensor:
        return self.table[codes]


@pytest.fixture(autouse=True)
def registered():
    QUANTIZERS.register("nearest", Nearest)
    yield
    QUANTIZERS.unregister("nearest")


def build(name: str, **options) -> LAM:
    torch.manual_seed(0)
    return LAM(replace(DEBUG, quantizer=name, quantizer_options=options))


def frames(batch: int = 4):
    return torch.randint(0, 256, (2, batch, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


CASES = {
    "nearest": {"size": 7},
    "vq": {"size": 7, "dim": 3},
    "gaussian": {"dim": 5, "beta": 0.1},
    "identity": {"dim": 5},
}


@pytest.mark.parametrize("name", CASES)
def test_a_quantizer_is_the_bottleneck_of_a_model_that_trains_and_loads(tmp_path, name):
    lam = build(name, **CASES[name])
    discrete = "size" in CASES[name]
    assert (lam.latent.codes, lam.latent.dim) == ((7, 3) if discrete else (None, 5))
    for parameter in lam.parameters():
        if not parameter.any():  # the gates of the decoder start closed
            nn.init.normal_(parameter, std=0.1)
    out = lam(*frames(), torch.Generator().manual_seed(0))
    assert (out.loss > out.losses.mean()) == (name != "identity"), "the quantizer's own loss is missing"
    out.loss.backward()
    assert all(p.grad.any() for p in lam.quantizer.parameters())
    assert lam.encoder.head.weight.grad.any()
    lam.save_pretrained(tmp_path)
    again = LAM.from_pretrained(tmp_path)
    latents = lam.encode(*frames())
    assert torch.equal(latents, again.encode(*frames()))
    assert latents.shape == ((4, 4) if discrete else (4, 4, 5))
    assert torch.equal(
        lam.decode(frames()[0], latents, 2, 2, torch.Generator().manual_seed(0)),
        again.decode(frames()[0], latents, 2, 2, torch.Generator().manual_seed(0)),
    )
    other = latents.clone()
    other[:, 2:] = latents[:, 2:].roll(1, 0)
    assert torch.equal(lam.keep_prefix(latents, 2), lam.keep_prefix(other, 2))
    assert torch.equal(lam.keep_prefix(latents, 2), lam.keep_prefix(latents[:, :2], 2))
    assert torch.equal(lam.keep_prefix(latents, 2)[:, 2:], lam.null.expand(4, 2, -1))


def asking(*shape: int, seed: int = 0) -> Tensor:
    """Vectors that ask for gradient, as a trained encoder's."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def test_a_codebook_begins_at_the_data_and_follows_it_by_the_moving_average():
    z = asking(40, 3)
    torch.manual_seed(0)
    vq = VQ(size=8, dim=3, decay=0.9)
    began = vq(z)
    assert 1.0 < began.usage < 3.0
    # the eight places are those of another codebook on the same data, whatever the global generator says
    torch.manual_seed(1)
    same = VQ(size=8, dim=3, decay=0.9)
    same(z)
    assert torch.equal(same.codebook, vq.codebook)
    places, counts = vq.codebook.clone(), vq.counts.clone()
    out = vq(z)
    assert torch.equal(out.codes, torch.cdist(z, places).argmin(-1))
    assert torch.allclose(out.vectors, places[out.codes], atol=1e-6)
    assert torch.allclose(out.loss, 0.25 * (z - places[out.codes]).square().mean())
    for code in range(8):
        own = z[out.codes == code]
        count = 0.9 * counts[code] + 0.1 * len(own)
        assert torch.allclose(vq.counts[code], count)
        assert torch.allclose(vq.codebook[code], (0.9 * counts[code] * places[code] + 0.1 * own.sum(0)) / count)
    gradient = torch.autograd.grad(out.vectors.sum(), z)[0]
    assert torch.equal(gradient, torch.ones_like(z)), "the straight-through gradient"


def test_codes_that_nobody_chooses_begin_anew():
    vq = VQ(size=4, dim=2, decay=0.5)
    vq(asking(64, 2))
    far = (asking(64, 2, seed=1) + 100).detach().requires_grad_()
    for _ in range(6):
        last = vq(far)
    assert (vq.codebook > 90).all(), "codes stay where no vector is"
    assert len(last.codes.unique()) == 4


@pytest.mark.parametrize("case", ["evaluation", "no gradient", "frozen encoder"])
def test_a_codebook_moves_with_a_training_encoder_alone(case):
    vq = VQ(size=4, dim=2)
    vq(asking(64, 2))
    before = {name: value.clone() for name, value in vq.state_dict().items()}
    vq.train(case != "evaluation")
    with torch.set_grad_enabled(case != "no gradient"):
        vq(asking(64, 2, seed=1) if case != "frozen encoder" else asking(64, 2, seed=1).detach())
    assert all(torch.equal(value, before[name]) for name, value in vq.state_dict().items())


def test_a_gaussian_is_held_at_the_standard_one_and_drawn_from_in_training():
    mean, log_variance = torch.randn(2, 500, 3, 4, generator=torch.Generator().manual_seed(0))
    gaussian = Gaussian(4, beta=0.5)
    z = torch.cat([mean, log_variance], -1)
    normal = Normal(mean, (log_variance / 2).exp())
    nats = kl_divergence(normal, Normal(torch.zeros(()), torch.ones(()))).sum(-1).mean()
    out = gaussian(z)
    assert torch.allclose(out.loss, 0.5 * nats) and torch.allclose(out.usage, nats / math.log(2))
    assert torch.equal(out.vectors, mean), "without a generator there is no noise"
    drawn = (gaussian(z, torch.Generator().manual_seed(0)).vectors - mean) / normal.scale
    assert abs(drawn.mean()) < 0.05 and abs(drawn.std() - 1) < 0.05
    assert torch.equal(
        gaussian(z, torch.Generator().manual_seed(1)).vectors, gaussian(z, torch.Generator().manual_seed(1)).vectors
    )


def test_vectors_of_codes_are_those_of_quantizing():
    for quantizer in (FSQ((8, 5, 5, 5)), Nearest(9), VQ(9, 3)):
        out = quantizer(torch.randn(6, 4, quantizer.dim))
        assert torch.allclose(quantizer.lookup(out.codes), out.vectors, atol=1e-6)
        assert out.codes.dtype == torch.int64 and out.codes.max() < quantizer.codes


def test_a_configuration_from_before_there_were_others_has_fsq():
    old = to_json(DEBUG)
    assert "quantizer" not in old and "quantizer_options" not in old, "files of models with FSQ have changed"
    assert from_json(LAMConfig, old, "config") == DEBUG
    other = replace(DEBUG, quantizer="nearest", quantizer_options={"size": 7})
    assert from_json(LAMConfig, to_json(other), "config") == other
    with pytest.raises(CheckpointError, match="quantizer_options is 3; expected dict"):
        from_json(LAMConfig, old | {"quantizer_options": 3}, "config")


def test_bad_names_and_options_are_named():
    with pytest.raises(ValueError, match=r"Unknown quantizer 'fqs'.*did you mean 'fsq'"):
        build("fqs")
    with pytest.raises(ValueError, match=r"quantizer_options is {'size': 7}; the quantizer 'fsq' takes levels"):
        build("fsq", size=7)
    with pytest.raises(ValueError, match=r"quantizer 'vq' has no option 'codes'; its options are size, dim, decay"):
        build("vq", codes=7)
    with pytest.raises(ValueError, match="quantizer 'nearest' needs the option 'size'"):
        build("nearest")
    with pytest.raises(ValueError, match="size is 1; expected a whole number, 2 or more"):
        build("vq", size=1)
    with pytest.raises(ValueError, match="decay is 1; expected 0 or more, and less than 1"):
        build("vq", decay=1)
    with pytest.raises(ValueError, match="beta is -1; expected a finite number, 0 or more"):
        build("gaussian", beta=-1)
    lam = build("identity", dim=5)
    with pytest.raises(ValueError, match="'identity' has no codes"):
        _ = lam.code_count
    with pytest.raises(ValueError, match="Identity has no codes"):
        lam.quantizer.lookup(torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match=r"shape \(4, 4\); expected vectors of 5 numbers"):
        lam.keep_prefix(torch.zeros(4, 4, dtype=torch.long), 2)


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (5,), (3, 3), (8, 8, 8, 5, 5, 5)])
def test_fsq_is_that_of_vector_quantize_pytorch(levels):
    library = pytest.importorskip("vector_quantize_pytorch").FSQ(levels=list(levels))
    own = FSQ(levels)
    z = (2 * torch.randn(50, 16, len(levels), generator=torch.Generator().manual_seed(0))).requires_grad_()
    found, (vectors, codes) = own(z), library(z)
    assert torch.allclose(found.vectors, vectors, atol=1e-6) and torch.equal(found.codes, codes.long())
    weights = torch.arange(z.numel()).view_as(z).cos()
    gradients = [torch.autograd.grad((out * weights).sum(), z)[0] for out in (found.vectors, vectors)]
    assert torch.allclose(*gradients, atol=1e-5)
    assert own.codes == library.codebook_size
    everything = torch.arange(own.codes)
    assert torch.allclose(own.lookup(everything), library.indices_to_codes(everything[:, None])[:, 0], atol=1e-6)
    assert torch.equal(own.lookup(found.codes), found.vectors.detach())


def test_a_level_of_two_is_refused():
    with pytest.raises(ValueError, match=r"levels is \(5, 2\); expected at least 3 in each dimension"):
        FSQ((5, 2))


def test_numbers_that_drift_out_of_reach_come_back():
    inside, beyond = torch.tensor([[[1.4, -1.5, 0.0, 1.5]], [[3.0, -4.0, 0.0, 1.0]]])[:, None]
    plain, held = (
        build_quantizer("fsq", {"levels": (8, 5, 5, 5)}),
        build_quantizer("fsq", {"levels": (8, 5, 5, 5), "saturation": 0.5}),
    )
    assert float(held(inside).loss) == 0.0 == float(plain(beyond).loss)
    z = beyond.clone().requires_grad_()
    loss = held(z).loss
    assert float(loss.detach()) == pytest.approx(0.5 * (1.5**2 + 2.5**2) / 4)
    loss.backward()
    assert z.grad is not None and z.grad.sign().flatten().tolist() == [1.0, -1.0, 0.0, 0.0]
    # the codes are the same with and without, and within reach every level of every number is met
    assert torch.equal(held(beyond).codes, plain(beyond).codes)
    line = torch.linspace(-1.5, 1.5, 301)[None, :, None].expand(1, -1, 4)
    assert [len(held(line).vectors[..., i].unique()) for i in range(4)] == [8, 5, 5, 5]
    with pytest.raises(ValueError, match=r"saturation is -1; expected a finite number, 0 or more"):
        build_quantizer("fsq", {"levels": (5,), "saturation": -1})
