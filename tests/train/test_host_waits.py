"""In a training step, the host never waits for the device, outside logging."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexlam_rl.train.trainer import run


def _beside(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HostWaits = _beside("host_waits").HostWaits


def waits(stage, stages, tmp_path, optimiser: str = "adamw"):
    """What the loop reads in three steps between two logged ones."""
    config = replace(stages.LOOP, steps=12, log_every=12, eval_every=12, save_every=12, optimiser=optimiser)
    # shapes are drawn on the host; torch checks the range of one-hot numbers on a CPU alone
    mode, found = HostWaits("_shape", "embed_actions"), []

    def on_step(done):
        if done == 4:
            mode.__enter__()
        if done == 7:
            mode.__exit__(None, None, None)
            found.extend(mode.found)

    run(stage, config, tmp_path, on_step)
    return found


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
@pytest.mark.parametrize("name", ["lam", "sequence", "translator", "joint"])
def test_a_training_step_reads_nothing_back(name, optimiser, stages, tmp_path):
    assert waits(stages.build(name), stages, tmp_path, optimiser) == []


def test_the_prior_on_prefixes_reads_nothing_back(stages, tmp_path):
    stage = stages.build("sequence")
    stage.targets = "prefixes"
    assert waits(stage, stages, tmp_path) == []


def test_reads_are_noticed():
    x = torch.arange(4.0)
    for read in (lambda: float(x[0]), lambda: x[x > 1], lambda: x.nonzero(), lambda: bool((x > 1).all())):
        with HostWaits() as mode:
            read()
        assert mode.found
