"""Rollouts on disk for the stages' tests, and small models."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.elastictok.config import PRESETS
from flexlam_rl.models.elastictok.elastictok import ElasticTok
from tests.train.conftest import rollouts

__all__ = ["rollouts"]


@pytest.fixture
def small():
    """small(bottleneck, ...) gives a model of blocks of 2 frames of 16 x 16 pixels, 8 tokens each, with weights far
    from their beginning, where little depends on anything.
    """

    def build(bottleneck: str = "fsq", seed: int = 0, **changes: object) -> ElasticTok:
        sizes = {"image_size": 16, "patch": 8, "blocks": 3} | changes
        model = ElasticTok(replace(PRESETS["debug", bottleneck], **sizes))
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
        return model.eval()

    return build


@pytest.fixture
def clips():
    """clips(rows, blocks) gives uint8 clips of the small model."""

    def draw(rows: int = 2, blocks: int = 3) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        return torch.randint(0, 256, (rows, 2 * blocks, 3, 16, 16), generator=generator, dtype=torch.uint8)

    return draw
