"""Training a pixel expert in one process; the same command resumes, and a run that was stopped or killed and resumed
equals one that never stopped, bit for bit on a CPU.

The state of the worlds is kept as each episode's seed and actions, which are played again when a run resumes.
"""

import json
import math
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from flexlam_rl.agents.experts.pixel.network import PixelConfig, PixelNetwork
from flexlam_rl.agents.experts.pixel.progress import Meter, segment_figures
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.scales import Scales
from flexlam_rl.agents.experts.pixel.segments import Collector, Rows
from flexlam_rl.agents.experts.pixel.update import update
from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.nn.modes import neutral_modes
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.train.log import RunLog
from flexlam_rl.train.state import STATE, load_state, save_state
from flexlam_rl.train.stopping import stopping


class Run:
    """A training run: everything that a saved state holds, and one iteration of it.

    Args:
        recipe: What determines it.
        world: Where it trains.
        out: Its folder; what it holds is continued.

    Raises:
        ValueError: `out` holds a run of another recipe.
        CheckpointError: Its state is damaged.
    """

    def __init__(self, recipe: Recipe, world: World, out: Path) -> None:
        recipe.check()
        self.recipe, self.world, self.out = recipe, world, out
        extra = _saved(out / STATE, recipe)
        config = PixelConfig(world.actions, recipe.tasks, world.spec, recipe.gru, recipe.channels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.network = PixelNetwork(config).to(recipe.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), recipe.learning_rate, eps=1e-5)
        self.scales, self.rows = Scales(len(recipe.tasks)), Rows(recipe.envs, len(recipe.tasks), recipe.gru)
        self.random = np.random.default_rng([recipe.seed, 19])
        self.iteration, self.best = 0, {"score": -math.inf, "step": 0}
        self.driven = np.zeros(len(recipe.tasks), np.int64)  # steps of the student per task
        if extra is not None:
            load_state(out / STATE, self._modules(), self._optimisers())
            self.random.bit_generator.state = extra["random"]
            self.iteration, self.best = extra["iteration"], extra["best"]
            self.driven = np.array(extra["driven"], np.int64)
        self.collector = Collector(world, recipe, self.rows, None if extra is None else extra["history"])
        if hasattr(world, "begin"):  # from here on, what it learns counts
            world.begin()

    @property
    def step(self) -> int:
        """Agent steps so far."""
        return self.iteration * self.recipe.per_iteration

    def _modules(self) -> dict[str, torch.nn.Module]:
        own = {"network": self.network, "scales": self.scales, "rows": self.rows}
        return own | getattr(self.world, "learners", {})

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        return [self.optimiser, *(learner.optimizer for learner in getattr(self.world, "learners", {}).values())]

    def save(self) -> None:
        """Write the whole state, in one file that is replaced whole."""
        extra = {
            "step": self.step,
            "iteration": self.iteration,
            "recipe": self.recipe.same_run(),
            "random": self.random.bit_generator.state,
            "best": self.best,
            "driven": self.driven.tolist(),
            "history": self.collector.history,
        }
        save_state(self.out / STATE, self._modules(), self._optimisers(), [], extra)

    def iterate(self) -> dict[str, float]:
        """Play a rollout and learn from it; gives figures, those of a task under "figure/task"."""
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

    def evaluate(self) -> dict[str, float]:
        """Play evaluation episodes of each task with the policy as it is, and keep it if it is the best so far."""
        self._write(self.out / "last")
        figures: dict[str, float] = {}
        scores = []
        for task in self.recipe.tasks:
            mean, score = self.world.evaluate(task, self.out / "last", self.recipe.evaluation_episodes)
            figures[f"return/{task}"] = mean
            scores.append(score)
        figures["score"] = float(np.mean(scores))
        if figures["score"] > self.best["score"]:
            self.best = {"score": figures["score"], "step": self.step}
            self._write(self.out / "best")
        return figures

    def _write(self, folder: Path) -> None:
        network = deepcopy(self.network).half() if self.recipe.half else self.network
        network.save_pretrained(folder)


def _saved(path: Path, recipe: Recipe) -> dict[str, Any] | None:
    """What the state of a run says beside its tensors, None where there is none yet."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            extra: dict[str, Any] = json.loads(file.metadata()["extra"])
            before = {"domain": "dmlab", **extra["recipe"]}  # runs from before there was another
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is no state of a pixel expert's training: {error}.") from None
    for name, value in recipe.same_run().items():
        if before.get(name) != value:
            raise ValueError(
                f"{path.parent} holds a run with {name} {before.get(name)!r}, the command says {value!r}: use another "
                "folder."
            )
    if "history" not in extra:
        raise CheckpointError(f"{path} is no state of a pixel expert's training: it has no history.")
    return extra


@neutral_modes()
def train(
    recipe: Recipe,
    world: World,
    out: Path,
    report: Callable[[str], None] = lambda text: None,
    on_iteration: Callable[[int], None] | None = None,
) -> Path:
    """Train until `recipe.steps`, rounded up to whole rollouts, continuing what `out` holds.

    Args:
        recipe: How.
        world: Where.
        out: The run's folder.
        report: Told lines for a person.
        on_iteration: Called after each iteration with the agent steps so far; an exception from it stops the run.

    Returns:
        The folder of the best policy.

    Raises:
        ValueError: `out` holds a run of another recipe, or a number is out of range.
        KeyboardInterrupt: On Ctrl-C or SIGTERM, after the iteration at hand was saved.
    """
    run = Run(recipe, world, out)
    out.mkdir(parents=True, exist_ok=True)
    log = RunLog(out, 0)
    log.rewind(run.step)
    if run.iteration:
        report(f"Resumed at {run.step} steps.")
    total = -(-recipe.steps // recipe.per_iteration)
    every = {
        "evaluation": max(1, recipe.evaluate_every // recipe.per_iteration),
        "save": max(1, recipe.save_every // recipe.per_iteration),
    }
    meter = Meter(total, recipe.per_iteration, every, report)
    try:
        with stopping() as stop:
            stop.patient = True
            try:
                while run.iteration < total and not stop.asked:
                    began = time.perf_counter()
                    figures = run.iterate()
                    figures["steps_per_second"] = recipe.per_iteration / (time.perf_counter() - began)
                    log.write(run.step, "train", figures)
                    meter.advance(run.iteration, figures)
                    if on_iteration is not None:
                        on_iteration(run.step)
                    last = run.iteration == total
                    evaluates = last or run.iteration % every["evaluation"] == 0
                    if evaluates:
                        found = run.evaluate()
                        log.write(run.step, "eval", found)
                        meter.evaluated(run.step, found)
                    if evaluates or run.iteration % every["save"] == 0:
                        run.save()
                        meter.paused("save")
                if stop.asked and run.iteration < total:
                    run.save()
                    raise KeyboardInterrupt(f"{run.step} steps are saved in {out}; the same command continues")
            finally:
                stop.patient = stop.asked = False
    finally:
        run.collector.close()
        log.close()
    return out / "best"
