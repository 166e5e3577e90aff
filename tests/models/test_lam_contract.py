"""What every latent action model keeps: its prediction learns of the next frame through each retained slot and through
nothing else, all of it trains, and it stands still while others train on it.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.baselines.config import adaworld, laom, lapo
from flexlam_rl.models.baselines.laom_stage import LAOMStage
from flexlam_rl.models.flexlam.config import PRESETS, TranslatorConfig, fixed
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.models.flexlam.stages.translator import TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.interfaces import LatentActionModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.systems import SYSTEMS, load_slot_model
from flexlam_rl.nn.prefix import null_fill
from flexlam_rl.nn.quantizers import QUANTIZERS
from flexlam_rl.train.source import ArraySource, to_device
from flexlam_rl.train.trainer import LoopConfig, run

DEBUG = PRESETS["debug"].lam
OPTIONS = {"fsq": {}, "vq": {"size": 9, "dim": 3}, "gaussian": {"dim": 3}, "identity": {"dim": 3}}
CONFIGS = {
    **{name: replace(DEBUG, quantizer=name, quantizer_options=OPTIONS[name]) for name in QUANTIZERS.names()},
    "lapo": lapo(DEBUG, slots=4, size=9, dim=3, prefix=True),
    "adaworld": adaworld(DEBUG, slots=4, dim=2, prefix=True),
    "laom": laom(DEBUG, slots=4, dim=2, prefix=True),
}
# without retained prefixes: the papers' own shapes of latent actions
WHOLE = {
    **{f"{name}, whole": fixed(CONFIGS[name], 2) for name in QUANTIZERS.names()},
    "lapo, whole": lapo(DEBUG, slots=8, size=9),
    "adaworld, whole": adaworld(DEBUG),
    "laom, whole": laom(DEBUG, dim=5),
}
ALL = CONFIGS | WHOLE
CLASSES = {kind.config_class: kind for kind in (s.model_class(m) for s in map(SYSTEMS.get, SYSTEMS.names())
                                                for m in s.models) if issubclass(kind, SlotModel)}  # fmt: skip


def test_every_latent_action_model_is_here():
    assert {type(config) for config in ALL.values()} == set(CLASSES)


def build(name: str) -> SlotModel:
    torch.manual_seed(0)
    model = CLASSES[type(ALL[name])](ALL[name])
    for p in model.parameters():
        if not p.any():  # heads and gates that start at zero
            nn.init.normal_(p, std=0.1)
    return model


def frames(batch: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, batch, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("name", ALL)
def test_the_prediction_learns_of_the_next_frame_through_retained_slots_alone(name):
    model = build(name)
    assert isinstance(model, LatentActionModel)
    obs, next_obs = frames()
    noise = torch.randn(obs.shape, generator=torch.Generator().manual_seed(1))
    kept = 2 if model.config.prefix else model.config.slots
    vectors = model.quantize(obs, next_obs.requires_grad_()).vectors
    lengths = torch.full((len(obs),), kept)
    predicted = model.predict(obs, null_fill(vectors, lengths, model.null), noise)
    weights = torch.randn(predicted.shape, generator=torch.Generator().manual_seed(2))
    wanted = torch.autograd.grad((predicted * weights).sum(), vectors, retain_graph=True)[0]
    assert not wanted[:, kept:].any(), "a dropped slot moves the prediction"
    for slot in range(kept):
        for number in range(model.latent.dim):
            through = torch.autograd.grad(
                vectors[:, slot, number], next_obs, wanted[:, slot, number], retain_graph=True
            )[0]
            assert through.flatten(1).any(1).all(), f"nothing of the next frame comes through {slot}, {number}"
    if model.config.prefix:
        none = model.predict(obs, null_fill(vectors, torch.zeros(len(obs), dtype=torch.long), model.null), noise)
        alone = torch.autograd.grad(none.sum(), next_obs, allow_unused=True, materialize_grads=True)[0]
        assert not alone.any(), "the prediction sees the next frame itself"


@pytest.mark.parametrize("name", CONFIGS)
def test_latents_after_the_prefix_change_no_output(name):
    model = build(name)
    obs, next_obs = frames()
    latents = model.encode(obs, next_obs)
    other = latents.clone()
    if model.latent.codes:
        other[:, 2:] = (latents[:, 2:] + 1) % model.latent.codes
    else:
        other[:, 2:] += 1
    noise = torch.zeros_like(obs)
    same = [model.predict(obs, model.keep_prefix(given, 2), noise) for given in (latents, other, latents[:, :2])]
    assert torch.equal(same[0], same[1]) and torch.equal(same[0], same[2])
    assert not torch.equal(same[0], model.predict(obs, model.keep_prefix(other, 3), noise))


@pytest.mark.parametrize("name", ALL)
def test_all_that_trains_gets_gradient_and_nothing_else(name):
    model = build(name)
    wanted = {key for key, p in model.named_parameters() if p.requires_grad}
    assert wanted == {
        key for key, _ in model.named_parameters() if not key.startswith("target.") and (key != "null" or
                                                                                          model.config.prefix)
    }  # fmt: skip
    model(*frames(12), torch.Generator().manual_seed(0)).loss.backward()
    assert {key for key, p in model.named_parameters() if p.grad is not None and p.grad.any()} == wanted


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_to_be_predicted_is_the_next_frame(name):
    model = build(name).eval()  # in training, LAOM's target moves
    obs, next_obs = frames()
    nothing, noise = model.null.expand(3, model.config.slots, -1), torch.zeros_like(obs)
    errors = [model.prediction_error(obs, after, nothing, noise) for after in (next_obs, next_obs.flip(0))]
    assert ((errors[0] - errors[1]).abs()[[0, 2]] > 1e-6).all()
    model.lengths = lambda *_: torch.zeros(3, dtype=torch.long)  # the slots tell nothing
    losses = [model(obs, after, torch.Generator().manual_seed(0)).losses for after in (next_obs, next_obs.flip(0))]
    assert ((losses[0] - losses[1]).abs()[[0, 2]] > 1e-6).all()
    if name in ("lapo", "adaworld", "laom"):  # the others' loss is at a random time
        assert torch.allclose(losses[0], errors[0], rtol=1e-4)


def test_laoms_target_is_the_moving_average_of_its_encoder():
    model = build("laom")
    with torch.no_grad():
        for p in model.target.parameters():
            p.add_(1.0)
    decay = model.config.target_decay
    wanted = [
        decay * old + (1 - decay) * new
        for old, new in zip(model.target.parameters(), model.encoder.frames.parameters(), strict=True)
    ]
    model.train()(*frames(), torch.Generator().manual_seed(0))
    assert all(torch.allclose(*pair, atol=1e-6) for pair in zip(model.target.parameters(), wanted, strict=True))
    with torch.no_grad():
        model(*frames(), torch.Generator().manual_seed(0))
    model.eval()(*frames(), torch.Generator().manual_seed(0))
    assert all(torch.allclose(*pair, atol=1e-6) for pair in zip(model.target.parameters(), wanted, strict=True))


LOOP = LoopConfig(steps=6, batch=6, warmup=2, lr=2e-3, eval_every=6, save_every=2, log_every=2)


def stage_of(name: str) -> LAMStage:
    """Training on random frames."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 4, 64, 64, 3), dtype=np.uint8)
    held_out = to_device({"obs": pixels[:6, 0], "next_obs": pixels[:6, 1]}, "cpu")
    model = build(name)
    if name.startswith("laom"):
        return LAOMStage(model, ArraySource({"frames": pixels}, LOOP.batch), held_out)
    return LAMStage(model, ArraySource({"obs": pixels[:, 0], "next_obs": pixels[:, 1]}, LOOP.batch), held_out)


@pytest.mark.parametrize("name", ["lapo", "adaworld", "laom"])
def test_a_stopped_training_continues_bit_for_bit(tmp_path, name):
    run(stage_of(name), LOOP, tmp_path / "whole")

    def stop(step: int) -> None:
        if step == 3:  # one after a save: what was trained since is trained anew
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        run(stage_of(name), LOOP, tmp_path / "parts", stop)
    torch.manual_seed(5)
    run(stage_of(name), LOOP, tmp_path / "parts")
    whole, parts = (load_file(tmp_path / out / "state.safetensors") for out in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(value, parts[key]) for key, value in whole.items())
    trained, new = load_slot_model(tmp_path / "whole/last/lam"), build(name)
    for key, value in trained.state_dict().items():
        assert (key == "null" and not new.config.prefix) or not torch.equal(value, new.state_dict()[key]), key


@pytest.mark.parametrize("name", CONFIGS)
def test_it_stands_still_while_others_train_on_it(tmp_path, name):
    model = build(name)
    model(*frames(12), torch.Generator().manual_seed(0))  # a codebook begins
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 3, 64, 64, 3), dtype=np.uint8)
    action, previous = rng.integers(0, 5, (2, 12, 1))
    labels = {"obs": pixels[:, 0], "next_obs": pixels[:, 1], "action": action, "previous": previous}
    spec, actions = model.latent, ActionSpec((5,), 0, "toy")
    sizes = TranslatorConfig(spec.slots, spec.dim, spec.prefix, actions, hidden=8, wide=16, depth=1)
    stages = [TranslatorStage(Translator(sizes), model, labels, labels, 4, 0)]
    if spec.codes:
        sequence = SequenceModel(replace(PRESETS["debug"].sequence, slots=spec.slots, codes=spec.codes))
        windows = ArraySource({"frames": pixels}, 4)
        stages.append(SequenceStage(sequence, model, windows, to_device({"frames": pixels[:3]}, "cpu")))
    for stage in stages:
        model.train()  # as somebody may call it
        run(stage, replace(LOOP, steps=2, eval_every=2), tmp_path / stage.name)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_target_of_laom_follows_its_encoder():
    model = build("laom")
    mean, weight = model.target.embed.weight.clone(), model.encoder.frames.embed.weight
    with torch.no_grad():
        weight += 1.0
    model(*frames(), torch.Generator().manual_seed(0))
    assert torch.allclose(model.target.embed.weight, mean + 0.01 * (weight - mean), atol=1e-6)
    for change in (model.eval, lambda: model.train().requires_grad_(False)):
        change()
        before = model.target.embed.weight.clone()
        model(*frames(), torch.Generator().manual_seed(0))
        assert torch.equal(model.target.embed.weight, before)
