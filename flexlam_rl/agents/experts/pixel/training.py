"""Training a pixel expert in one process."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from flexlam_rl.agents.experts.pixel.network import PixelConfig, PixelNetwork, begin_from
from flexlam_rl.agents.experts.pixel.progress import segment_figures
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.running import RewardRun, drive
from flexlam_rl.agents.experts.pixel.scales import Scales
from flexlam_rl.agents.experts.pixel.segments import Collector, Rows
from flexlam_rl.agents.experts.pixel.update import update
from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.nn.modes import neutral_modes


class Run(RewardRun):
    """A training run of a pixel expert.

    Args:
        recipe: Options of the training.
        world: World that it trains in.
        out: Folder of the run; a run that it holds is continued.

    Raises:
        ValueError: `out` holds a run of another recipe, or the expert to start from does not fit.
        CheckpointError: The run's state, or the expert to start from, is damaged.
    """

    title = "a pixel expert's training"
    later: ClassVar[dict[str, Any]] = {
        "domain": "dmlab",
        "start": None,
        "anchor": 0.0,
        "vision": "coarse",
        "precision": "fp32",
    }

    def __init__(self, recipe: Recipe, world: World, out: Path) -> None:
        super().__init__(recipe, world, out)
        self.recipe = recipe
        extra = self.saved()
        choices = getattr(world, "choices", 1)
        config = PixelConfig(
            world.actions, recipe.tasks, world.spec, recipe.gru, recipe.channels, choices, recipe.vision
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.network = PixelNetwork(config)
        if recipe.start is not None:
            begin_from(self.network, recipe.start)
        self.network.to(recipe.device)
        self.network.half_vision = recipe.precision == "bf16"
        self.anchor = deepcopy(self.network).requires_grad_(False) if recipe.anchor else None
        self.optimiser = torch.optim.Adam(self.network.parameters(), recipe.learning_rate, eps=1e-5)
        self.scales = Scales(len(recipe.tasks))
        self.rows = Rows(recipe.envs, len(recipe.tasks), recipe.gru, config.tail)
        if self.anchor is not None:
            self.rows.register_buffer("anchored", torch.zeros(recipe.envs, recipe.gru))
        self.driven = np.zeros(len(recipe.tasks), np.int64)  # steps that the student drove, per task
        if extra is not None:
            self.load(extra)
            self.driven = np.array(extra["driven"], np.int64)
        self.collector = Collector(world, recipe, self.rows, None if extra is None else extra["history"], self.anchor)
        if hasattr(world, "begin"):  # what the world was shown while episodes were replayed, it has learned from before
            world.begin()

    def modules(self) -> dict[str, torch.nn.Module]:
        own = {"network": self.network, "scales": self.scales, "rows": self.rows}
        return own | getattr(self.world, "learners", {})

    def optimisers(self) -> list[torch.optim.Optimizer]:
        return [self.optimiser, *(learner.optimizer for learner in getattr(self.world, "learners", {}).values())]

    def extra(self) -> dict[str, Any]:
        return {"driven": self.driven.tolist(), "history": self.collector.history}

    def iterate(self) -> dict[str, float]:
        recipe, tasks = self.recipe, self.collector.tasks
        weights = np.array([recipe.imitation(int(steps)) for steps in self.driven])
        if not weights.any() and self.step >= recipe.clone_steps:
            self.collector.teacher = None
        share = recipe.drive_share(self.step)
        rollout = self.collector.collect(self.network, self.random, share, self.scales)
        figures = update(self.network, self.optimiser, self.scales, rollout, tasks, weights, recipe, self.random)
        figures |= {"teacher_drives": share} | segment_figures(rollout, recipe.tasks, tasks, weights)
        own = ~rollout.driven.numpy()
        self.driven += recipe.rollout * np.bincount(tasks[own], minlength=len(recipe.tasks))
        self.iteration += 1
        return figures

    def write(self, folder: Path) -> None:
        network = deepcopy(self.network).half() if self.recipe.half else self.network
        network.save_pretrained(folder)
        if hasattr(self.world, "accompany"):
            self.world.accompany(folder)

    def close(self) -> None:
        self.collector.close()


@neutral_modes()
def train(
    recipe: Recipe,
    world: World,
    out: Path,
    report: Callable[[str], None] = lambda text: None,
    on_iteration: Callable[[int], None] | None = None,
) -> Path:
    """Train until `recipe.steps`, rounded up to whole rollouts; a run that `out` holds is continued.

    Args:
        recipe: Options of the training.
        world: World to train in.
        out: Folder of the run.
        report: Called with lines of progress.
        on_iteration: Called after each iteration with the agent steps so far; an exception from it stops the run.

    Returns:
        The folder of the best policy.

    Raises:
        ValueError: `out` holds a run of another recipe, or a number is out of range.
        KeyboardInterrupt: On Ctrl-C or SIGTERM, after the iteration at hand was saved.
    """
    return drive(Run(recipe, world, out), report, on_iteration)
