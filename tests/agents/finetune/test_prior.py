"""PPO on a prior: what it trains, that it learns, and that a run which was killed equals one that never stopped."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from flexlam_rl.agents.finetune.contexts import Memories
from flexlam_rl.agents.finetune.recipe import PriorRecipe
from flexlam_rl.agents.finetune.training import PriorRun, finetune
from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.models.flexlam.sequence import SequenceModel

sys.path.insert(0, str(Path(__file__).parent))
from dark_world import LENGTH, DarkWorld

SMALL = PriorRecipe(
    tasks=("dark",), envs=6, rollout=10, steps=240, epochs=1, minibatches=2, budget=2, value_steps=60,
    evaluate_every=10**9, save_every=1, anchor=0.1,
)  # fmt: skip


@pytest.fixture(scope="module", params=["interleaved", "factored", "recurrent"])
def bundle(request, make_bundle_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "bundle"
    return load_bundle(make_bundle_folder(folder, conditioning="slots", prior=request.param))


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def test_the_windows_of_an_update_are_what_the_decisions_saw(bundle, tmp_path):
    run = PriorRun(replace(SMALL, learning_rate=0.0, value_steps=0, envs=7), DarkWorld(bundle), bundle, tmp_path)
    for _ in range(4):  # with restarts, ends, time-outs and contexts of all phases of the stride
        figures = run.iterate()
        assert figures["moved"] < 2e-5 and abs(figures["anchor"]) < 2e-5
    remembers = isinstance(run.context, Memories)
    assert remembers or run.context.lengths.unique().numel() > 1

    def change_the_past():
        if remembers:
            run.context.memory.add_(0.5)
        else:
            run.context.blocks.add_(1).remainder_(bundle.lam.code_count)

    change_the_past()
    rollout = run.collector.collect(run.learner.prior, run.learner.value, run.random, run.scales)
    change_the_past()  # it counts
    moved = run.learner.update(run.scales, rollout, run.context, run.collector.fleet.tasks, run.random, False)["moved"]
    assert moved > max(5e-5, 5 * figures["moved"])
    run.close()


def test_short_rollouts_play_as_a_long_one(bundle, tmp_path):
    played = []
    for steps in (6, 24):
        run = PriorRun(replace(SMALL, rollout=steps, envs=7), DarkWorld(bundle), bundle, tmp_path / str(steps))
        parts = []
        for _ in range(24 // steps):
            parts.append(run.collector.collect(run.learner.prior, run.learner.value, run.random, run.scales))
            run.context.advance(parts[-1].frames, parts[-1].blocks, parts[-1].cuts, parts[-1].memory)
        played.append((torch.cat([part.chosen for part in parts], 1), torch.cat([part.values for part in parts])))
        run.close()
    (codes, values), (whole, expected) = played
    assert torch.equal(codes, whole)
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=0)


def test_it_learns_and_only_the_prior_changes(bundle, tmp_path):
    if type(bundle.sequence) is not SequenceModel:
        return  # it shares all but `decide`, which the windows show
    recipe = replace(
        SMALL, envs=16, rollout=LENGTH, budget=1, steps=25 * 16 * LENGTH, minibatches=1, epochs=2, learning_rate=1e-2,
        entropy=0.01, anchor=0.0, value_steps=0, discount=0.0, save_every=10**9,
    )  # fmt: skip
    first = [weights(model) for model in (bundle.lam, bundle.translator, bundle.sequence)]
    best = load_bundle(finetune(recipe, DarkWorld(bundle), bundle, tmp_path))
    figures = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    returns = [line["return/dark"] for line in figures if "return/dark" in line and line["part"] == "train"]
    assert np.mean(returns[-5:]) > max(0.7 * LENGTH, 1.4 * np.mean(returns[:3]))
    for before, model in zip(first[:2], (best.lam, best.translator), strict=True):
        assert torch.equal(before, weights(model))
    assert torch.equal(first[2], weights(bundle.sequence)) and not torch.allclose(first[2], weights(best.sequence))
    assert best.config.training["finetuned"]["budget"] == 1


def test_gradient_reaches_every_part_of_the_prior_and_values_alone_leave_it(bundle, tmp_path):
    run = PriorRun(SMALL, DarkWorld(bundle), bundle, tmp_path)
    before = weights(run.learner.prior), weights(run.learner.value)
    run.iterate()
    assert torch.equal(before[0], weights(run.learner.prior)) and not torch.equal(before[1], weights(run.learner.value))
    run.iterate()
    assert not torch.equal(before[0], weights(run.learner.prior))
    dead = [name for name, p in run.learner.prior.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []
    assert all(p.grad is None for model in (bundle.lam, bundle.translator, bundle.sequence) for p in model.parameters())
    run.close()


def test_the_anchor_holds_the_prior_where_it_was(bundle, tmp_path):
    moved = []
    for anchor in (1e-9, 10.0):
        recipe = replace(SMALL, learning_rate=3e-3, value_steps=0, anchor=anchor, epochs=4)
        run = PriorRun(recipe, DarkWorld(bundle), bundle, tmp_path / str(anchor))
        moved.append([run.iterate()["anchor"] for _ in range(4)][-1])
        run.close()
    assert moved[0] > 2 * moved[1] > 0.0


class Killed(Exception):
    """Stands for a kill."""


def test_killed_and_resumed_equals_uninterrupted(bundle, tmp_path):
    def kill(step):
        if step == 180:
            raise Killed

    finetune(SMALL, DarkWorld(bundle), bundle, tmp_path / "whole")
    with pytest.raises(Killed):  # an iteration that was played and logged, and not saved
        finetune(SMALL, DarkWorld(bundle), bundle, tmp_path / "parts", on_iteration=kill)
    said = []
    finetune(SMALL, DarkWorld(bundle), bundle, tmp_path / "parts", said.append)
    assert said[0] == "Resumed at 120 steps."
    states, lines = [], []
    for out in (tmp_path / "whole", tmp_path / "parts"):
        with safe_open(out / "state.safetensors", "pt") as file:
            states.append((load_file(out / "state.safetensors"), json.loads(file.metadata()["extra"])))
        found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        lines.append([{k: v for k, v in line.items() if k != "steps_per_second"} for line in found])
    (tensors, extra), (others, other) = states
    assert extra == other and set(tensors) == set(others) and lines[0] == lines[1]
    assert all(torch.equal(value, others[name]) for name, value in tensors.items())
    with pytest.raises(ValueError, match="holds a run with budget 2, but the command says 3"):
        finetune(replace(SMALL, budget=3), DarkWorld(bundle), bundle, tmp_path / "whole")
    with pytest.raises(ValueError, match="budget is 9"):
        finetune(replace(SMALL, budget=9), DarkWorld(bundle), bundle, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_prior_without_probabilities_is_refused(make_bundle_folder, tmp_path):
    other = load_bundle(make_bundle_folder(tmp_path / "bundle", prior="continuous"))
    with pytest.raises(ValueError, match="has a ContinuousPrior, which gives no probabilities"):
        PriorRun(replace(SMALL, budget=4), DarkWorld(other), other, tmp_path / "run")
