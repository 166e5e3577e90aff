"""Systems by name, and the roles that their models have."""

import inspect
from dataclasses import replace

import pytest
import torch

from flexlam_rl.models import interfaces
from flexlam_rl.models.baselines.idm import IDM
from flexlam_rl.models.flexlam.config import PRESETS, EncoderConfig, IDMConfig, fixed
from flexlam_rl.models.flexlam.continuous.config import SIZES as CONTINUOUS
from flexlam_rl.models.flexlam.continuous.decode import ContinuousDecoder
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.decode import Decoder
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.decode import FactoredDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.priors import PRIORS, decoder_of
from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
from flexlam_rl.models.flexlam.recurrent.decode import RecurrentDecoder
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.systems import SYSTEMS, System, load_model
from flexlam_rl.nn.pretrained import CheckpointError

DEBUG = PRESETS["debug"]


class Toy(IDM):
    """A model of a system that another package brings."""


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def video(batch: int = 2, frames: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (batch, frames, 3, 64, 64), generator=rng(), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        (interfaces.LatentActionModel, LAM),
        (interfaces.FrameDecoder, LAM),
        (interfaces.WorldModel, LAM),
        (interfaces.LatentPrior, Decoder),
        (interfaces.LatentPrior, FactoredDecoder),
        (interfaces.LatentPrior, RecurrentDecoder),
        (interfaces.LatentPrior, ContinuousDecoder),
    ],
)
def test_flexlam_has_the_methods_of_its_roles_with_their_arguments(role, kind):
    for name in (name for name in vars(role) if not name.startswith("_")):
        wanted, own = getattr(role, name), getattr(kind, name)
        if not callable(wanted):
            assert isinstance(own, property)
            continue
        asked, given = inspect.signature(wanted).parameters, list(inspect.signature(own).parameters.values())
        names = [p.name for p in given]
        assert names[: len(asked)] == list(asked), f"{kind.__name__}.{name}"
        assert all(p.default is not p.empty for p in given[len(asked) :]), f"{kind.__name__}.{name} asks for more"


@pytest.mark.parametrize("config", [DEBUG.lam, fixed(DEBUG.lam, 2, (5,))], ids=["flexlam", "fixed"])
def test_a_latent_action_model_does_what_its_role_says(config):
    torch.manual_seed(0)
    lam = LAM(config)
    assert isinstance(lam, interfaces.LatentActionModel | interfaces.FrameDecoder)
    obs, next_obs = video().unbind(1)[:2]
    step = lam.loss({"obs": obs, "next_obs": next_obs}, rng())
    assert torch.equal(step.loss, lam(obs, next_obs, rng()).loss)
    spec, latents = lam.latent, lam.encode(obs, next_obs)
    assert latents.shape == (2, spec.slots) and latents.dtype == torch.int64
    assert latents.min() >= 0 and latents.max() < spec.codes and spec.prefix == config.prefix
    kept = lam.keep_prefix(latents, spec.slots if not spec.prefix else 1)
    assert kept.shape == (2, spec.slots, spec.dim)
    assert lam.decode(obs, latents, spec.slots, 2, rng()).shape == obs.shape


def test_video_is_predicted_frame_by_frame():
    torch.manual_seed(0)
    lam = LAM(DEBUG.lam)
    torch.nn.init.normal_(lam.decoder.head.weight, std=0.5)
    context = video()
    latents = torch.randint(0, lam.latent.codes, (2, 3, 2), generator=rng())
    generator = rng()
    frames = lam.rollout(context, latents, generator, 2)
    assert frames.shape == (2, 3, 3, 64, 64) and frames.dtype == torch.uint8
    generator, obs = rng(), context[:, -1]
    for t in range(3):
        obs = lam.decode(obs, latents[:, t], 2, 2, generator)
        assert torch.equal(frames[:, t], obs)
    assert torch.equal(lam.rollout(context[:, -1:], latents, rng(), 2), frames), "more than the last frame counts"


@pytest.mark.parametrize(
    "prior",
    [
        lambda: SequenceModel(DEBUG.sequence),
        lambda: FactoredPrior(SIZES["debug"]),
        lambda: RecurrentPrior(RECURRENT["debug"]),
        lambda: ContinuousPrior(CONTINUOUS["debug"]),
        lambda: ContinuousPrior(replace(CONTINUOUS["debug"], head="mixture")),
    ],
    ids=PRIORS,
)
def test_a_prior_generates_what_a_latent_action_model_decodes(prior):
    torch.manual_seed(0)
    lam, prior = LAM(DEBUG.lam), decoder_of(prior())

    frames = video()
    state, last = prior.initial_state(2), None
    for t in range(3):
        summary = prior.observe(state, frames[:, t], last)
        out = prior.generate(state, summary, 3, generator=rng())
        assert out.codes.shape == out.log_probs.shape == (2, 3)
        last = lam.encode(frames[:, max(t - 1, 0)], frames[:, t])
    assert lam.decode(frames[:, -1], out.codes, 3, 2, rng()).shape == (2, 3, 64, 64)
    prior.clear(state, torch.tensor([True, True]))
    assert not state.step.any()


def test_any_model_loads_by_the_class_that_it_is_of(tmp_path):
    assert SYSTEMS.names()[:2] == ("flexlam", "baselines")
    for name in SYSTEMS.names():
        for model in SYSTEMS.get(name).models:
            assert SYSTEMS.get(name).model_class(model).__name__ == model
    torch.manual_seed(0)
    lam = LAM(DEBUG.lam)
    lam.save_pretrained(tmp_path / "lam")
    again = load_model(tmp_path / "lam")
    assert type(again) is LAM and torch.equal(again.null, lam.null)


def test_a_system_of_another_package_is_one_registration(tmp_path):
    Toy(IDMConfig(encoder=EncoderConfig(32, 1, 2, 4.0, 16), depth=1, hidden=8, wide=8)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="holds a 'Toy'; expected one of BehaviourCloning"):
        load_model(tmp_path)
    SYSTEMS.register("toy", System("for a test", {"Toy": __name__}))
    try:
        assert type(load_model(tmp_path)) is Toy
    finally:
        SYSTEMS.unregister("toy")
