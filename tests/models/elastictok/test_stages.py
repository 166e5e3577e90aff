"""ElasticTok's stages: both train from options and continue bit for bit, models grow, and the regressor changes no
autoencoder.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from flexlam_rl.models.elastictok.stages.definitions import ElasticTokOptions, RegressorOptions
from flexlam_rl.models.elastictok.stages.tokenizer import ElasticTokStage, stills
from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.systems import load_model
from flexlam_rl.nn.perceptual import network_maps
from flexlam_rl.train import run_stage
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.run_stage import train_stage
from flexlam_rl.train.source import ArraySource
from flexlam_rl.train.trainer import run


class Stopped(Exception):
    pass


def train(name: str, options: object, monkeypatch, stop: int | None = None) -> None:
    """Train a stage, or stop it after a step, as a kill does."""

    def stopping(stage, loop, out):
        def on_step(done):
            if done == stop:
                raise Stopped

        return run(stage, loop, out, on_step)

    monkeypatch.setattr(run_stage, "run", stopping)
    train_stage(name, options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def killed_and_continued(name: str, options, monkeypatch, out: Path) -> Path:
    """Train in one go and with a stop in between; both give the same, and the folder is returned."""
    train(name, options(out=out / "whole"), monkeypatch)
    with pytest.raises(Stopped):
        train(name, options(out=out / "stopped"), monkeypatch, stop=4)  # saved at 3
    train(name, options(out=out / "stopped"), monkeypatch)
    assert equal(*(weights(out / way / name / "last" / name) for way in ("whole", "stopped")))
    return out / "whole"


def test_stages_continue_bit_for_bit_grow_and_leave_the_autoencoder_as_it_is(rollouts, tmp_path, monkeypatch):
    first = killed_and_continued(
        "elastictok",
        lambda out: ElasticTokOptions(data=rollouts, out=out, preset="debug", bottleneck="vae", steps=5),
        monkeypatch,
        tmp_path / "1",
    )
    before = weights(first / "elastictok" / "best" / "elastictok")
    figures = json.loads((first / "elastictok" / "best" / "metrics.json").read_text())
    assert {"loss", "error@2", "error@4", "error@8"} <= figures.keys()
    regressed = killed_and_continued(
        "elastictok_regressor",
        lambda out: RegressorOptions(
            data=rollouts, out=out, preset="debug", elastictok_run=first, low=0.2, high=0.5, steps=5
        ),
        monkeypatch,
        tmp_path / "2",
    )
    assert equal(before, weights(first / "elastictok" / "best" / "elastictok"))
    regressor = load_model(regressed / "elastictok_regressor" / "best" / "elastictok_regressor")
    inside = {name.removeprefix("encoder."): value for name, value in before.items() if name.startswith("encoder.")}
    assert regressor.encoder.state_dict().keys() == inside.keys() and regressor.config.low == 0.2
    # no parameter is added by more blocks, and training begins at the weights of one
    grown = ElasticTokOptions(
        data=rollouts, out=tmp_path / "3", preset="debug", bottleneck="vae", blocks=2, init=first, steps=1
    )
    train("elastictok", grown, monkeypatch)
    after = weights(tmp_path / "3" / "elastictok" / "last" / "elastictok")
    assert after.keys() == before.keys()
    moved = max(float((after[name] - before[name]).abs().max()) for name in after)
    assert 0.0 < moved <= 2.1e-3  # one step of AdamW at the recipe's rate
    record = json.loads((tmp_path / "3" / "elastictok" / "config.json").read_text())
    assert record["model"]["blocks"] == 2 and record["images"] == 0.5 and record["init"]
    for changes, said in (({"bottleneck": "fsq"}, "quantizer is 'gaussian'"), ({"blocks": 1}, "at least as many")):
        init = first if "bottleneck" in changes else tmp_path / "3"
        options = {"data": rollouts, "out": tmp_path / "4", "preset": "debug", "bottleneck": "vae", "init": init}
        with pytest.raises(ValueError, match=said):
            train_stage("elastictok", ElasticTokOptions(**(options | changes)))
    assert not (tmp_path / "4" / "elastictok").exists()


def test_a_perceptual_distance_is_part_of_the_loss_and_its_gradient(small, clips):
    model, maps = small(), network_maps("random", 3)
    stage = ElasticTokStage(model, ArraySource({"x": np.zeros((1, 1))}, 1), clips(1), 0.0, maps, 0.5)
    loss, figures = stage.loss({"frames": clips()}, torch.Generator().manual_seed(0))
    plain = model.loss(clips(), torch.Generator().manual_seed(0)).loss
    assert float(figures["perceptual"]) > 0.0
    assert float((loss - plain).detach()) == pytest.approx(float(figures["perceptual"]), rel=1e-3)
    (loss - plain).backward()
    assert bool(model.encoder.inward.weight.grad.any())


def test_a_constant_length_is_the_only_one_of_its_model(rollouts, tmp_path):
    options = ElasticTokOptions(data=rollouts, out=tmp_path, preset="debug", length=5, steps=1)
    figures = train_stage("elastictok", options)
    assert figures.keys() == {"step", "loss", "error@5"}
    model = load_model(tmp_path / "elastictok" / "best" / "elastictok")
    assert (model.config.least, model.config.longest) == (5, 5)


def test_the_share_of_images_is_trained_on_as_blocks_of_one_frame(small, clips):
    frames = torch.arange(6).view(1, 6, 1, 1, 1)
    assert stills(frames, 3).flatten().tolist() == [0, 0, 0, 3, 3, 3]
    model, seen = small(), []
    model.loss = lambda frames, generator, perceptual: seen.append(frames) or StepOutput(torch.zeros(()), {})
    stage = ElasticTokStage(model, ArraySource({"x": np.zeros((1, 1))}, 1), clips(1), images=0.5)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        stage.loss({"frames": clips()}, generator)
    still = torch.stack([(each == stills(clips(), 2)).flatten(1).all(1) for each in seen])
    video = torch.stack([(each == clips()).flatten(1).all(1) for each in seen])
    assert torch.equal(still, ~video) and 0.4 < float(still.float().mean()) < 0.6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 4, "least": 2}, "length is 4 and least 2"),
        ({"images": 1.5}, r"images is 1\.5"),
        ({"blocks": 0}, "blocks is 0"),
        ({"perceptual_weight": -1.0}, r"perceptual_weight is -1\.0"),
        ({"every": 0}, "every is 0"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        ElasticTokOptions(data=tmp_path, out=tmp_path, **options)


def test_what_cannot_be_trained_is_refused_before_anything_is_written(rollouts, tmp_path):
    common = {"data": rollouts, "out": tmp_path / "run", "preset": "debug"}
    for options, said in (
        ({"length": 9}, "least is 9; expected a whole number, 1 to 8"),
        ({"blocks": 40}, "No items"),
        ({"perceptual": "lpips"}, "perceptual is 'lpips'"),
    ):
        with pytest.raises(ValueError, match=said):
            train_stage("elastictok", ElasticTokOptions(**common, **options))
    with pytest.raises(TrainingError, match="train the stage 'elastictok' first"):
        train_stage("elastictok_regressor", RegressorOptions(**common))
    assert not (tmp_path / "run" / "elastictok").exists() and not (tmp_path / "run" / "elastictok_regressor").exists()
