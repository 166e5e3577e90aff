"""A pixel expert trains on a density's reward in place of the task's, and continues bit for bit."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from flexlam_rl.agents.experts.pixel.progress import segment_figures
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.training import Run, train
from flexlam_rl.agents.rewards.bonuses import RandomNetworkDistillation
from flexlam_rl.agents.rewards.density import Scores
from flexlam_rl.agents.rewards.world import RewardedWorld

sys.path.insert(0, str(Path(__file__).parents[1] / "experts"))
from test_pixel_resume import Killed, kill_at, same
from toy_world import SIZE, ToyWorld

RECIPE = Recipe(
    tasks=("cheap",), teacher="none", envs=4, steps=32, rollout=4, channels=4, gru=8, minibatches=2,
    evaluate_every=10**9, save_every=1, evaluation_episodes=1,
)  # fmt: skip


class Redness:
    """Scores how red a frame is, less how red the one before was."""

    figure = "redness"

    def __init__(self, rows: int) -> None:
        self.rows, self.last = rows, torch.zeros(rows)

    def score(self, frames):
        now = frames[:, 0].float().mean(dim=(1, 2)) / 255
        return Scores(now - self.last, now[:, None])

    def advance(self, frames, begins):
        self.last = frames[:, 0].float().mean(dim=(1, 2)) / 255


def world() -> RewardedWorld:
    return RewardedWorld(ToyWorld(), Redness, 0.5, RandomNetworkDistillation(size=SIZE))


def test_killed_and_resumed_equals_uninterrupted_with_a_bonus_that_learns(tmp_path):
    train(RECIPE, world(), tmp_path / "whole")
    with pytest.raises(Killed):
        train(RECIPE, world(), tmp_path / "parts", on_iteration=kill_at(32))
    train(RECIPE, world(), tmp_path / "parts")
    same(tmp_path / "whole", tmp_path / "parts")


def test_rewards_are_the_densitys_and_not_the_tasks(tmp_path):
    plain = RewardedWorld(ToyWorld(), Redness)
    run = Run(RECIPE, plain, tmp_path)
    rollout = run.collector.collect(run.network, run.random, 0.0, run.scales)
    run.collector.close()
    red = rollout.frames[..., 0].float().mean(dim=(2, 3)) / 255
    follows = ~rollout.ends[:-1]
    assert torch.allclose(rollout.rewards[:-1][follows], (red[1:] - red[:-1])[follows], atol=1e-6)
    assert rollout.rewards.abs().max() > 0
    figures = segment_figures(rollout, ("cheap",), run.collector.tasks, np.zeros(1))
    assert figures["reward/cheap"] == pytest.approx(float(rollout.rewards.mean()))
