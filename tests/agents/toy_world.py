"""A toy world model of integer arithmetic, and what goes with it: a column that is lit moves by the first code."""

import numpy as np
import pytest
import torch

from flexlam_rl.agents.imagined.starts import Start
from flexlam_rl.models.interfaces import Conditions, LookBack
from flexlam_rl.models.stepping import step_by_step
from flexlam_rl.nn.streams import uniform_rows

SIZE, CODES = 8, 4


class Column:
    """The lit column moves right by the first code, and by the last frame's first code again; its brightness is chance.

    Of the past, it looks back at two frames and at what led to them.
    """

    conditions, look_back, frame_shape = Conditions("codes", CODES, 2, True), LookBack(1, 2), (3, SIZE, SIZE)

    def remember(self, frames):
        return frames

    def next_frame(self, items, told, generator=None):
        at = items[:, -1, 0, 0].argmax(-1)
        moved = at + told[:, -1, 0] + told[:, -2, 0].clamp_min(0)
        light = torch.full((len(items),), 200)
        if generator is not None:
            light = 100 + (100 * uniform_rows(generator, len(items), items.device)).long()
        frames = torch.zeros(len(items), *self.frame_shape, dtype=torch.uint8)
        frames[torch.arange(len(items)), :, :, moved % SIZE] = light.to(torch.uint8)[:, None, None]
        return frames, frames

    def rollout(self, context, latents, generator=None):
        return step_by_step(self, context, latents, latents.shape[1], generator)


class Native(Column):
    """The same world, told actions instead of codes."""

    conditions = Conditions("actions", CODES)

    def next_frame(self, items, told, generator=None):
        return super().next_frame(items, told[..., None], generator)


class Bright:
    """Starts whose lit column the seed tells; nothing is known of the steps before."""

    def draw(self, seed):
        frames = np.zeros((2, SIZE, SIZE, 3), np.uint8)
        frames[:, :, seed % SIZE] = 150
        return Start(frames, None, "toy")


class AtFive:
    """Rewards 1 for a frame whose column 5 is lit."""

    frames = 2

    def reward(self, frames):
        assert frames.shape[1] == 2
        return (frames[:, :, 0, 0, 5] > 0).float()


@pytest.fixture
def toy():
    """Options of an environment of the toy world."""
    return {"model": Column(), "starts": Bright(), "reward": AtFive(), "horizon": 5}
