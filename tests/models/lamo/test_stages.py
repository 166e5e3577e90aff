"""LaMo's stages: each continues bit for bit, and leaves those before it as they are."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from flexlam_rl.models.lamo.lamo import LaMo
from flexlam_rl.models.lamo.stages.definitions import LaMoOptions, MidwayOptions, PixelDecoderOptions
from flexlam_rl.models.systems import load_model
from flexlam_rl.train import run_stage
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.run_stage import train_stage
from flexlam_rl.train.trainer import run


class Stopped(Exception):
    pass


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_every_stage_continues_bit_for_bit_and_leaves_those_before_it_as_they_are(rollouts, tmp_path, monkeypatch):
    def killed_and_continued(stage, options) -> dict[str, torch.Tensor]:
        """Weights after 5 steps, in one go and with a kill after 4, of which 3 are saved."""
        train_stage(stage, options(tmp_path / "whole"))

        def on_step(done):
            if done == 4:
                raise Stopped

        with monkeypatch.context() as patched:
            patched.setattr(run_stage, "run", lambda what, loop, out: run(what, loop, out, on_step))
            with pytest.raises(Stopped):
                train_stage(stage, options(tmp_path / "stopped"))
        train_stage(stage, options(tmp_path / "stopped"))
        one, other = (weights(tmp_path / run / stage / "last" / stage) for run in ("whole", "stopped"))
        assert equal(one, other)
        return one

    def inside(state, name) -> dict[str, torch.Tensor]:
        return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}

    common = {"data": rollouts, "preset": "debug", "steps": 5, "every": 2}
    midway = killed_and_continued("midway", lambda out: MidwayOptions(out=out, **common))
    assert any(not torch.equal(midway[n], midway[n.replace("teacher", "student")]) for n in midway if "teacher" in n)
    best = weights(tmp_path / "whole/midway/best/midway")
    decoder = killed_and_continued("lamo_decoder", lambda out: PixelDecoderOptions(out=out, **common))
    assert equal(inside(decoder, "midway"), best)
    best = weights(tmp_path / "whole/lamo_decoder/best/lamo_decoder")
    lamo = killed_and_continued("lamo", lambda out: LaMoOptions(out=out, head="mixture", **common))
    assert equal(inside(lamo, "pixels"), best)
    model = load_model(tmp_path / "whole/lamo/best/lamo")
    assert isinstance(model, LaMo) and model.config.midway.image_size == 64
    assert (model.motion_scale.deviation != 1).all(), "the scale is that of the data"
    assert (tmp_path / "whole/lamo/sheets/00000005.png").stat().st_size > 0


def test_what_is_missing_or_does_not_fit_is_refused_before_anything_is_written(rollouts, tmp_path):
    with pytest.raises(TrainingError, match="train the stage 'midway' first"):
        train_stage("lamo_decoder", PixelDecoderOptions(data=rollouts, out=tmp_path, preset="debug"))
    with pytest.raises(ValueError, match="No items of"):
        train_stage("midway", MidwayOptions(data=rollouts, out=tmp_path, preset="debug", every=500))
    with pytest.raises(ValueError, match="noise is -1"):
        LaMoOptions(data=rollouts, out=tmp_path, noise=-1.0)
    with pytest.raises(ValueError, match="history is 0"):
        LaMoOptions(data=rollouts, out=tmp_path, history=0)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
