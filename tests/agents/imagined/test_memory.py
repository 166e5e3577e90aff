"""What rows remember, each from its own beginning on, and the real frames that they begin with."""

import numpy as np
import torch

from flexlam_rl.agents.imagined.memory import Memory
from flexlam_rl.agents.imagined.starts import make_starts
from flexlam_rl.envs.domains.dmlab.vector import make_vector
from flexlam_rl.models.stepping import step_by_step
from tests.models.test_stepping import Sum


def test_rows_that_begin_at_different_times_remember_what_they_would_alone():
    model, rng = Sum(), np.random.default_rng(0)  # looks back at three frames, and at what led to them
    frames = torch.from_numpy(rng.integers(0, 256, (2, 2, 1, 1, 1), dtype=np.uint8))
    past, actions = (torch.from_numpy(rng.integers(0, 5, shape)) for shape in ((2, 1), (2, 6)))
    memory, made = Memory(model, 2), [[], []]
    memory.begin(np.array([0]), frames[:1], past[:1], actions[:1, :1])
    for step in range(6):
        if step == 2:
            memory.begin(np.array([1]), frames[1:], past[1:], actions[1:, :1])
        rows = [0] if step < 2 else [0, 1]
        told = torch.stack([actions[row, step - 2 * row] for row in rows])
        for row, frame in zip(rows, memory.step(np.array(rows), told, None), strict=True):
            made[row].append(frame)
    for row in range(2):
        steps = len(made[row])
        one = slice(row, row + 1)
        alone = step_by_step(model, frames[one], actions[one, :steps], steps, None, past[one])
        assert torch.equal(torch.stack(made[row]), alone[0]), row
    twice = memory.repeated(np.array([1]), 2)
    both = twice.step(np.arange(2), torch.tensor([3, 4]), None)
    assert torch.equal(memory.step(np.array([1]), torch.tensor([3]), None)[0], both[0]) and not torch.equal(*both)


def test_starts_of_a_level_are_its_frames_and_the_seeds_alone():
    level = "explore_goal_locations_small"
    starts = make_starts(level, 3, (64, 64, 3))
    first, other, again = starts.draw(5), starts.draw(6), make_starts(level, 3, (64, 64, 3)).draw(5)
    assert first.frames.shape == (3, 64, 64, 3) and first.actions.shape == (2,) and first.level == level
    assert np.array_equal(first.frames, again.frames) and not np.array_equal(first.frames, other.frames)
    # without steps before them, they are what the episode shows after these actions
    starts.warm_up = 0
    begun = starts.draw(5)
    env = make_vector(1, level, engine="litelab")
    shown = [env.reset(options={"episode_seed": 5})[0], *(env.step(action[None])[0] for action in begun.actions)]
    assert np.array_equal(np.concatenate(shown), begun.frames)
