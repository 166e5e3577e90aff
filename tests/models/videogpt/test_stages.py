"""VideoGPT's stages: both train from options, continue bit for bit, and the second leaves the first as it is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from flexlam_rl.agents.rewards.density import replay
from flexlam_rl.agents.rewards.window_density import WindowDensity
from flexlam_rl.models.flexlam.config import PRESETS as LAM_PRESETS
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.systems import load_model
from flexlam_rl.models.videogpt.stages.clips import latent_actions
from flexlam_rl.models.videogpt.stages.definitions import VIDEOGPT_STAGE, VideoGPTOptions, VQVAEOptions
from flexlam_rl.models.videogpt.stages.maskgit import MaskGITOptions
from flexlam_rl.models.videogpt.videogpt import VideoGPT
from flexlam_rl.models.videogpt.vqvae import VQVAE
from flexlam_rl.nn.maskgit import pass_log_probs
from flexlam_rl.train import run_stage
from flexlam_rl.train.clips import led_to
from flexlam_rl.train.definition import Splits
from flexlam_rl.train.run_stage import alone, open_splits, train_stage
from flexlam_rl.train.trainer import run


class Stopped(Exception):
    pass


@pytest.fixture
def stop_at(monkeypatch):
    """Make the training stop after a step, as a kill does, or run on (None)."""

    def set_step(step: int | None) -> None:
        def stopping(stage, loop, out):
            def on_step(done):
                if done == step:
                    raise Stopped

            return run(stage, loop, out, on_step)

        monkeypatch.setattr(run_stage, "run", stopping)

    return set_step


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def killed_and_continued(name, options, stop_at, out: Path, model: str) -> Path:
    """Train in one go and with a stop in between; both give the same, and the folder is returned."""
    stop_at(None)
    train_stage(name, options(out=out / "whole"))
    stop_at(4)  # saved at 3
    with pytest.raises(Stopped):
        train_stage(name, options(out=out / "stopped"))
    stop_at(None)
    train_stage(name, options(out=out / "stopped"))
    first, second = (out / run / name / "last" / model for run in ("whole", "stopped"))
    assert equal(weights(first), weights(second))
    return out / "whole"


def test_both_stages_continue_bit_for_bit_and_the_codebook_stands_still_in_the_second(rollouts, tmp_path, stop_at):
    first = killed_and_continued(
        "vqvae",
        lambda out: VQVAEOptions(data=rollouts, out=out, preset="debug", steps=5),
        stop_at,
        tmp_path / "1",
        "vqvae",
    )
    vqvae = weights(first / "vqvae" / "best" / "vqvae")
    fresh = VQVAE(VQVAE.saved_config(first / "vqvae" / "best" / "vqvae"))
    assert not torch.equal(vqvae["quantizers.0.codebook"], fresh.state_dict()["quantizers.0.codebook"])

    def options(out: Path) -> VideoGPTOptions:
        return VideoGPTOptions(
            data=rollouts, out=out, preset="debug", vqvae_run=first, condition="actions", attention="sparse", steps=5,
        )  # fmt: skip

    second = killed_and_continued("videogpt", options, stop_at, tmp_path / "2", "videogpt")
    whole = weights(second / "videogpt" / "last" / "videogpt")
    inside = {name.removeprefix("vqvae."): value for name, value in whole.items() if name.startswith("vqvae.")}
    assert equal(inside, vqvae)
    model = VideoGPT.from_pretrained(second / "videogpt" / "last" / "videogpt")
    assert model.config.prior.actions == 15 and model.config.vqvae.variance != 1.0


def test_no_gradient_reaches_the_first_stage_and_all_of_the_second_gets_one(rollouts, tmp_path):
    train_stage("vqvae", VQVAEOptions(data=rollouts, out=tmp_path, preset="debug", per_frame=True, steps=1))
    options = VideoGPTOptions(data=rollouts, out=tmp_path, preset="debug", condition="tasks")
    with alone(options):
        splits: Splits = open_splits(options)
        stage = VIDEOGPT_STAGE.build(options, VIDEOGPT_STAGE.plan(options, splits, {}), splits)
        model = stage.trained()["videogpt"].train()
        before = {name: value.clone() for name, value in model.vqvae.state_dict().items()}
        generator = torch.Generator().manual_seed(0)
        for _ in range(2):  # zero-initialised gains pass on no gradient to the condition's inputs, but get one
            loss, figures = stage.loss(stage.next_batch("cpu"), generator)
            loss.backward()
    assert model.config.prior.tasks == ("alpha", "beta") and model.training and not model.vqvae.training
    assert equal(before, model.vqvae.state_dict())
    assert not any(parameter.requires_grad for parameter in model.vqvae.parameters())
    assert all(parameter.grad is None for parameter in model.vqvae.parameters())
    untouched = [name for name, parameter in model.prior.named_parameters() if parameter.grad is None]
    assert not untouched, untouched
    assert float(figures["bits_per_code"]) == pytest.approx(float(loss.detach()) / 0.6931, rel=1e-3)


def test_latent_actions_are_those_that_led_to_a_frame():
    lam = LAM(replace(LAM_PRESETS["debug"].lam, slots=3)).eval()
    frames = torch.randint(0, 256, (2, 4, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = latent_actions(lam, frames, 2)
    assert found.shape == (2, 4, 8) and not found[:, 0].any()
    expected = lam.keep_prefix(lam.encode(frames[:, 1], frames[:, 2]), 2)[:, :2].flatten(1)
    assert torch.allclose(found[:, 2], expected)
    assert led_to(torch.tensor([[3, 1, 2]])).tolist() == [[-1, 3, 1]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"condition": "latents"}, "latents need a lam_run"),
        ({"condition": "actions", "every": 2}, "every is 2"),
        ({"every": 0}, "every"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        VideoGPTOptions(data=tmp_path, out=tmp_path, **options)


def test_clips_longer_than_all_episodes_are_refused_before_anything_is_written(rollouts, tmp_path):
    with pytest.raises(ValueError, match="No items of 64 rows"):
        train_stage("vqvae", VQVAEOptions(data=rollouts, out=tmp_path / "run", preset="debug", frames=64))
    assert not (tmp_path / "run" / "vqvae").exists()


def test_a_maskgit_trains_on_frozen_codes_and_depends_on_no_later_frame(rollouts, tmp_path):
    train_stage("vqvae", VQVAEOptions(data=rollouts, out=tmp_path, preset="debug", per_frame=True, steps=1))
    train_stage("maskgit", MaskGITOptions(data=rollouts, out=tmp_path, preset="debug", steps=3))
    vqvae, whole = (weights(tmp_path / name / "last" / name) for name in ("vqvae", "maskgit"))
    inside = {name.removeprefix("vqvae."): value for name, value in whole.items() if name.startswith("vqvae.")}
    assert equal(inside, vqvae)
    model = load_model(tmp_path / "maskgit" / "best" / "maskgit").eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())) * 0.3
    frames = torch.randint(0, 256, (1, 4, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    before = model.log_prob(frames)
    for t in range(4):
        changed = frames.clone()
        changed[:, t] = 255 - changed[:, t]
        moved = ((model.log_prob(changed) - before).abs() > 1e-5)[0]
        assert not moved[:t].any() and moved[t:].all()
    first = model.encode(frames)[:, :1].flatten(2)
    alone = pass_log_probs(
        lambda shown, hidden: model.logits(first[:, :0], shown, hidden), first[:, 0], model.config.passes
    )
    assert torch.allclose(before[:, 0], alone.sum(1), rtol=1e-4)
    assert model.rollout(frames[:, :2], None).shape == (1, 2, 3, 64, 64)
    # a window is scored as the reward scores it
    density = WindowDensity(model, 1, window=3)
    scores = replay(density, frames.movedim(0, 1), torch.tensor([[True], [False], [False], [False]]))
    assert torch.allclose(scores[1:3, 0], before[0, 1:3], rtol=1e-4)
    assert torch.allclose(scores[3, 0], model.log_prob(frames[:, 1:])[0, 2], rtol=1e-4)
