"""Training a bundle's prior by reward, in one process."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from flexlam_rl.agents.experts.pixel.running import RewardRun, drive
from flexlam_rl.agents.experts.pixel.scales import Scales
from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.agents.finetune.contexts import context_of
from flexlam_rl.agents.finetune.play import PriorCollector, PriorRows
from flexlam_rl.agents.finetune.recipe import PriorRecipe
from flexlam_rl.agents.finetune.update import Learner
from flexlam_rl.agents.policy.bundle import Bundle
from flexlam_rl.agents.policy.bundle_files import write_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.nn.action_head import no_action
from flexlam_rl.nn.modes import neutral_modes


class PriorRun(RewardRun):
    """A training run of a prior.

    Args:
        recipe: Options of the training.
        world: World that it trains in.
        bundle: Bundle whose prior is improved; the bundle itself does not change.
        out: Folder of the run; a run that it holds is continued.

    Raises:
        ValueError: `out` holds a run of another recipe, the bundle cannot play at the budget, or its prior does not
            give probabilities of codes.
        CheckpointError: The run's state is damaged.
    """

    title = "a prior's training by reward"

    def __init__(self, recipe: PriorRecipe, world: World, bundle: Bundle, out: Path) -> None:
        recipe = replace(recipe, bundle=bundle.hash)
        super().__init__(recipe, world, out)
        self.recipe, self.bundle = recipe, bundle
        LatentActionPolicy(bundle, recipe.budget)  # refuses a budget that the bundle cannot play with
        start = bundle.prior()
        if isinstance(start, ContinuousPrior):
            raise ValueError(
                f"{bundle.source} has a {type(start).__name__}, which gives no probabilities of its draws; expected "
                "a bundle with the interleaved, the factored or the recurrent prior."
            )
        extra = self.saved()
        prior = copy.deepcopy(start).requires_grad_(True).to(recipe.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            value = nn.Linear(prior.config.width, len(recipe.tasks))
        with torch.no_grad():  # the values begin near zero
            value.weight *= 0.1
            value.bias.zero_()
        self.learner = Learner(prior, value.to(recipe.device), start if recipe.anchor else None, recipe)
        self.scales = Scales(len(recipe.tasks))
        self.rows = PriorRows(recipe.envs, len(recipe.tasks), no_action(bundle.translator.config.actions, recipe.envs))
        self.context = context_of(prior, recipe.envs)
        if extra is not None:
            self.load(extra)
        history = None if extra is None else extra["history"]
        self.collector = PriorCollector(world, recipe, bundle, self.rows, self.context, history)

    def modules(self) -> dict[str, nn.Module]:
        return {
            "prior": self.learner.prior, "value": self.learner.value, "scales": self.scales, "rows": self.rows,
            "context": self.context,
        }  # fmt: skip

    def optimisers(self) -> list[torch.optim.Optimizer]:
        return [self.learner.optimiser]

    def extra(self) -> dict[str, Any]:
        return {"history": self.collector.fleet.history}

    def iterate(self) -> dict[str, float]:
        learner, recipe, tasks = self.learner, self.recipe, self.collector.fleet.tasks
        rollout = self.collector.collect(learner.prior, learner.value, self.random, self.scales)
        alone = self.step < recipe.value_steps
        figures = learner.update(self.scales, rollout, self.context, tasks, self.random, alone)
        self.context.advance(rollout.frames, rollout.blocks, rollout.cuts, rollout.memory)
        for number, name in enumerate(recipe.tasks):
            returns = [total for task, total in rollout.finished if task == number]
            if returns:
                figures[f"return/{name}"] = float(np.mean(returns))
        self.iteration += 1
        return figures

    def write(self, folder: Path) -> None:
        bundle, recipe = self.bundle, self.recipe
        told = {"bundle": bundle.hash, "tasks": list(recipe.tasks), "budget": recipe.budget, "steps": self.step}
        training = {**bundle.config.training, "weights": "float32", "finetuned": told}
        models: dict[str, Any] = {"lam": bundle.lam, "sequence": self.learner.prior, "translator": bundle.translator}
        write_bundle(folder, replace(bundle.config, training=training), models)

    def close(self) -> None:
        self.collector.close()


@neutral_modes()
def finetune(
    recipe: PriorRecipe,
    world: World,
    bundle: Bundle,
    out: Path,
    report: Callable[[str], None] = lambda text: None,
    on_iteration: Callable[[int], None] | None = None,
) -> Path:
    """Improve a bundle's prior until `recipe.steps`, rounded up to whole rollouts; a run that `out` holds is continued.

    Args:
        recipe: Options of the training.
        world: World to train in.
        bundle: Bundle on the recipe's device whose prior is improved; the bundle itself does not change.
        out: Folder of the run.
        report: Called with lines of progress.
        on_iteration: Called after each iteration with the agent steps so far; an exception from it stops the run.

    Returns:
        The folder of the best bundle.

    Raises:
        ValueError: `out` holds a run of another recipe, or a number is out of range.
        KeyboardInterrupt: On Ctrl-C or SIGTERM, after the iteration at hand was saved.
    """
    return drive(PriorRun(recipe, world, bundle, out), report, on_iteration)
