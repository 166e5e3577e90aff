"""Shared by the models' tests: a small sequence model in float64, windows of random frames and codes, and rollouts and
options of a quick training.
"""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.sequence import SequenceModel
from tests.train.conftest import args, make_episode, make_rollouts, rollouts, toy_lam, world

__all__ = ["args", "make_episode", "make_rollouts", "rollouts", "toy_lam", "world"]  # fixtures

CONFIG = PRESETS["debug"].sequence


def build_prior(kind, config, seed: int = 0):
    """A prior in float64 whose decisions depend on everything that they may depend on."""
    torch.manual_seed(seed)
    built = kind(config).double()
    for parameter in built.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return built


def build_model(seed: int = 0, **changes) -> SequenceModel:
    return build_prior(SequenceModel, replace(CONFIG, **changes), seed)


def build_window(frames: int, batch: int = 2, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(batch, frames, 3, 64, 64, generator=generator, dtype=torch.float64) * 2 - 1
    codes = torch.randint(0, CONFIG.codes, (batch, frames, CONFIG.slots), generator=generator)
    return images, codes


@pytest.fixture
def model():
    """Builds a sequence model: model(seed=0, **changes of the configuration)."""
    return build_model


@pytest.fixture
def window():
    """Builds a window: window(frames, batch=2, seed=0) gives frames (B, T, C, H, W) and codes (B, T, M)."""
    return build_window
