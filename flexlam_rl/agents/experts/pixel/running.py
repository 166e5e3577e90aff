"""What all trainings by reward share: a state in one file, evaluations that keep the best policy, and the loop.

The same command resumes a run. On a CPU, a run that was stopped or killed and then resumed equals one that never
stopped, bit for bit.
"""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from flexlam_rl.agents.experts.pixel.ppo import PPORecipe
from flexlam_rl.agents.experts.pixel.progress import Meter
from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.train.log import RunLog
from flexlam_rl.train.state import STATE, load_state, save_state
from flexlam_rl.train.stopping import stopping

Report = Callable[[str], None]


class RewardRun(ABC):
    """A training by reward: its saved state and its iteration. Subclasses say what trains.

    Args:
        recipe: Options of the training.
        world: World that it trains in.
        out: Folder of the run; a run that it holds is continued.
    """

    title = "a training by reward"
    """Name of the training in messages."""
    later: ClassVar[dict[str, Any]] = {}
    """Values of options that are missing in states of earlier versions."""

    def __init__(self, recipe: PPORecipe, world: World, out: Path) -> None:
        recipe.check()
        self.options, self.world, self.out = recipe, world, out
        self.random = np.random.default_rng([recipe.seed, 19])
        self.iteration, self.best = 0, {"score": -math.inf, "step": 0}

    @property
    def step(self) -> int:
        """Number of agent steps so far."""
        return self.iteration * self.options.per_iteration

    def saved(self) -> dict[str, Any] | None:
        """Read what the state in the run's folder holds besides tensors.

        Returns:
            The JSON values, or None where no state has been saved yet.

        Raises:
            ValueError: The folder holds a run of another recipe.
            CheckpointError: The state is damaged.
        """
        path = self.out / STATE
        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                extra: dict[str, Any] = json.loads(file.metadata()["extra"])
                before = {**self.later, **extra["recipe"]}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is not a state of {self.title}: {error}.") from None
        for name, value in self.options.same_run().items():
            if before.get(name) != value:
                raise ValueError(
                    f"{path.parent} holds a run with {name} {before.get(name)!r}, but the command says {value!r}: use "
                    "another folder."
                )
        if "history" not in extra:
            raise CheckpointError(f"{path} is not a state of {self.title}: it has no history.")
        return extra

    def load(self, extra: dict[str, Any]) -> None:
        """Continue from the state in the run's folder; `extra` is what `saved` returned."""
        load_state(self.out / STATE, self.modules(), self.optimisers())
        self.random.bit_generator.state = extra["random"]
        self.iteration, self.best = extra["iteration"], extra["best"]

    def save(self) -> None:
        """Write the whole state to one file, atomically."""
        extra = {
            "step": self.step,
            "iteration": self.iteration,
            "recipe": self.options.same_run(),
            "random": self.random.bit_generator.state,
            "best": self.best,
            **self.extra(),
        }
        save_state(self.out / STATE, self.modules(), self.optimisers(), [], extra)

    def evaluate(self) -> dict[str, float]:
        """Evaluate the present policy on each task, and keep it as `best` if its score is the highest so far.

        Returns:
            The mean return per task, as "return/task", and the mean "score" over tasks.
        """
        self.write(self.out / "last")
        figures: dict[str, float] = {}
        scores = []
        for task in self.options.tasks:
            mean, score = self.world.evaluate(task, self.out / "last", self.options.evaluation_episodes)
            figures[f"return/{task}"] = mean
            scores.append(score)
        figures["score"] = float(np.mean(scores))
        if figures["score"] > self.best["score"]:
            self.best = {"score": figures["score"], "step": self.step}
            self.write(self.out / "best")
        return figures

    @abstractmethod
    def modules(self) -> dict[str, torch.nn.Module]:
        """Return the modules with all tensors of the state."""

    @abstractmethod
    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Return all optimizers, in a fixed order."""

    @abstractmethod
    def extra(self) -> dict[str, Any]:
        """Return what else the state holds, as JSON values; "history" is one of them."""

    @abstractmethod
    def iterate(self) -> dict[str, float]:
        """Play a rollout and learn from it; return figures, with those of a task named "figure/task"."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write the present policy, for `World.evaluate` and for players."""

    @abstractmethod
    def close(self) -> None:
        """Close the environments."""


def drive(
    run: RewardRun, report: Report = lambda text: None, on_iteration: Callable[[int], None] | None = None
) -> Path:
    """Train until the recipe's steps, rounded up to whole rollouts.

    Args:
        run: The run; its environments are closed at the end.
        report: Called with lines of progress.
        on_iteration: Called after each iteration with the agent steps so far; an exception from it stops the run.

    Returns:
        The folder of the best policy.

    Raises:
        KeyboardInterrupt: On Ctrl-C or SIGTERM, after the iteration at hand was saved.
    """
    recipe, out = run.options, run.out
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
        run.close()
        log.close()
    return out / "best"
