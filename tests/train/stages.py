"""Stages at debug size on the toy world, for the tests that stop and continue them (also run as a script in other
processes).
"""

import importlib.util
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.baselines.control_stage import ControlStage
from flexlam_rl.models.baselines.features import FeatureTranslator
from flexlam_rl.models.baselines.idm import IDM, BehaviourCloning
from flexlam_rl.models.flexlam.config import PRESETS, EncoderConfig, FeatureConfig, IDMConfig, TranslatorConfig, fixed
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.models.flexlam.stages.translator import DirectStage, TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.train import distributed
from flexlam_rl.train.source import ArraySource, to_device
from flexlam_rl.train.trainer import LoopConfig, run

NAMES = (
    "lam", "fixed", "sequence", "factored", "translator", "joint", "idm", "bc", "features", "shuffled", "random",
    "previous",
)  # fmt: skip
LOOP = LoopConfig(steps=12, batch=4, warmup=2, lr=2e-3, eval_every=5, save_every=3, log_every=2, ema=0.9)


def _toy_world():
    spec = importlib.util.spec_from_file_location("toy_conftest", Path(__file__).with_name("conftest.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.toy_world


def build(name: str, rank: int = 0, ranks: int = 1):
    """A stage of that name with fixed weights and data."""
    world = _toy_world()
    train, held_out = world(40, 0), world(16, 1)
    lam_config = replace(PRESETS["debug"].lam, image_size=32)
    lam_config = replace(
        lam_config,
        encoder=replace(lam_config.encoder, patch=8),
        decoder=replace(lam_config.decoder, patch=8),
    )
    torch.manual_seed(0)
    lam = LAM(fixed(lam_config, 2) if name == "fixed" else lam_config)
    actions = ActionSpec((5,), 0, "toy")
    if name in ("lam", "fixed"):
        frames = {k: train[k] for k in ("obs", "next_obs")}
        return LAMStage(
            lam, ArraySource(frames, LOOP.batch, 0, rank, ranks), to_device({k: held_out[k] for k in frames}, "cpu")
        )
    if name in ("sequence", "factored"):
        windows = np.random.default_rng(0).integers(0, 256, (8, 5, 32, 32, 3), dtype=np.uint8)
        source = ArraySource({"frames": windows}, LOOP.batch, 0, rank, ranks)
        held_out = to_device({"frames": windows[:3]}, "cpu")
        if name == "sequence":
            config = replace(PRESETS["debug"].sequence, image_size=32, patch=8)
            return SequenceStage(SequenceModel(config), lam, source, held_out)
        prior = FactoredPrior(replace(SIZES["debug"], image_size=32, patch=16))
        return SequenceStage(prior, lam, source, held_out, "prefixes", drop_frames=0.2, drop_blocks=0.2)
    if name == "idm":
        idm = IDM(IDMConfig(32, 3, actions, EncoderConfig(32, 1, 2, 4.0, 8)))
        return DirectStage(name, idm, ("obs", "next_obs", "previous"), train, held_out, LOOP.batch, 0)
    if name == "bc":
        bc = BehaviourCloning(IDMConfig(32, 3, actions, EncoderConfig(32, 1, 2, 4.0, 8)))
        return DirectStage(name, bc, ("obs", "previous"), train, held_out, LOOP.batch, 0)
    if name == "features":
        features = FeatureTranslator(FeatureConfig(3, actions, hidden=16, wide=32, depth=2))
        return DirectStage(name, features, ("obs", "next_obs", "previous"), train, held_out, LOOP.batch, 0)
    translator = Translator(TranslatorConfig(slots=4, actions=actions, hidden=16, wide=32, depth=2, image_size=32))
    if name in ("shuffled", "random", "previous"):
        return ControlStage(name, translator, lam, train, held_out, LOOP.batch, 0)
    return TranslatorStage(translator, lam, train, held_out, LOOP.batch, 0, joint=name == "joint")


def main() -> None:
    """`stages.py NAME OUT`: train."""
    train(sys.argv[1], Path(sys.argv[2]))


def train(name: str, out: Path, kill_at: int = -1) -> None:
    """Train, and kill this process right after step `kill_at`."""
    torch.set_num_threads(1)
    rank, ranks = distributed.start("cpu")

    def on_step(step: int) -> None:
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    stage = build(name, rank, ranks)
    run(stage, LOOP, out, on_step)
    if ranks > 1:
        sums = distributed.gather([float(p.double().sum()) for m in stage.trained().values() for p in m.parameters()])
        assert sums[0] == sums[1], "ranks hold different weights"
        first = distributed.gather(stage.cursor())
        assert first[0] == first[1]
    distributed.finish()
    threads = [name.read_text() for name in Path("/proc/self/task").glob("*/comm")]
    assert not any("gloo" in name for name in threads), "threads of the group that run while Python ends may abort it"


if __name__ == "__main__":
    main()
