"""A stage of another package trains by the same commands, from one file and an entry point."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flexlam_rl
from flexlam_rl.cli import main
from flexlam_rl.train.stages import STAGES

STAGE = '''
"""A toy stage: the mean frame."""
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.train.data import PairSource, held_out_pairs
from flexlam_rl.train.definition import RunConfig, StageDefinition
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.stage import SourceStage
from flexlam_rl.train.trainer import LoopConfig


@dataclass(frozen=True)
class MeanConfig:
    start: float


@dataclass(frozen=True)
class MeanOptions(StageOptions):
    """Train the mean frame."""

    start: float = field(default=0.5, kw_only=True)
    """Where it begins."""


class Mean(PretrainedModel):
    config_class = MeanConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.value = nn.Parameter(torch.full((3, 64, 64), config.start))


class MeanStage(SourceStage):
    name = "mean"

    def __init__(self, model, source, held_out):
        super().__init__({"mean": model}, source)
        self.model, self.held_out = model, held_out

    def loss(self, batch, generator):
        return (batch["obs"].float() / 255 - self.model.value).square().mean(), {}

    @torch.no_grad()
    def evaluate(self, device):
        return {"loss": float(self.loss(self.held_out, None)[0])}


def plan(options, splits, coming):
    loop = loop_config(LoopConfig(steps=6, batch=4, lr=0.1, warmup=1), options, options.out / "mean")
    return RunConfig("mean", MeanConfig(options.start), loop, tuple(splits.train.digests))


def build(options, config, splits):
    source = PairSource(splits.train, config.loop.batch, options.seed)
    return MeanStage(Mean(config.model), source, held_out_pairs(splits.test, 8))


DEFINITION = StageDefinition("mean", "the mean frame", MeanOptions, plan, build, ("mean",))
'''


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """Folder on the path with a package that has the stage and names it in its metadata, as an installed one."""
    site = tmp_path / "site"
    (site / "toy-1.0.dist-info").mkdir(parents=True)
    (site / "toy-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (site / "toy-1.0.dist-info/entry_points.txt").write_text("[flexlam_rl.stages]\nmean = toy_stage:DEFINITION\n")
    (site / "toy_stage.py").write_text(STAGE)
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("toy_stage", None)


def test_it_trains_continues_and_starts_from_another_run(package, args, capsys):
    assert "mean" in STAGES.names()
    common = ["--data", str(args.data), "--start", "0.25"]
    assert main(["train", "mean", *common, "--out", str(args.out), "--steps", "3"]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("mean: best at step 3: loss ")
    assert main(["train", "mean", *common, "--out", str(args.out)]) == 0
    assert json.loads((args.out / "mean/config.json").read_text())["loop"]["steps"] == 6
    assert (args.out / "mean/best/mean/model.safetensors").is_file()
    assert main(["train", "mean", *common, "--out", str(args.out / "b"), "--init", str(args.out), "--steps", "1"]) == 0
    assert main(["train", "mean", *common, "--out", str(args.out), "--seed", "1"]) == 2
    assert "loop.seed is 0 there and 1 here" in capsys.readouterr().err
    assert main(["train", "mean", *common, "--out", str(args.out), "--fixed", "1"]) == 2


def test_python_runs_it_by_its_name(package, args):
    root = str(Path(flexlam_rl.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, str(package)])}
    command = [sys.executable, "-m", "flexlam_rl.train.mean", "--data", str(args.data), "--out", str(args.out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "mean: best at step 6" in done.stdout
