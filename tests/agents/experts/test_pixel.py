"""Pixel experts: what they learn from, what they see, and that they play the same everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from flexlam_rl.agents.experts.pixel.network import PixelConfig, PixelNetwork
from flexlam_rl.agents.experts.pixel.player import PixelExpert
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.scales import Scales, estimate_advantages
from flexlam_rl.agents.experts.pixel.segments import NO_CHOICE, Collector, Rows
from flexlam_rl.agents.experts.pixel.training import Run
from flexlam_rl.agents.experts.pixel.update import surrogate, update
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.cli import main
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import store_path
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
from tests.eval.conftest import SHORT_FLEXLAM

sys.path.insert(0, str(Path(__file__).parent))
from toy_world import ToyWorld

LEVEL = "rooms_exploit_deferred_effects_train"


@pytest.fixture
def folder(pixel_expert_folder: Path) -> Path:
    return pixel_expert_folder


@pytest.mark.parametrize(("teacher", "dead"), [("scripted", set()), ("none", set())])
def test_gradient_reaches_every_part(tmp_path: Path, teacher: str, dead: set[str]) -> None:
    more = {} if teacher == "none" else {"clone_steps": 10_000}
    run = Run(Recipe(tasks=("cheap", "dear"), teacher=teacher, envs=8, rollout=16, **more), ToyWorld(), tmp_path)
    rollout = run.collector.collect(run.network, run.random, 0.5 if more else 0.0, run.scales)
    seen: dict[str, float] = {}

    class Watch(torch.optim.SGD):
        def step(self, closure: object = None) -> None:
            for name, parameter in run.network.named_parameters():
                seen[name] = max(seen.get(name, 0.0), float(parameter.grad.abs().sum()))

    weights = np.full(2, 1.0 if more else 0.0)
    watch = Watch(run.network.parameters(), 0.1)
    update(run.network, watch, run.scales, rollout, run.collector.tasks, weights, run.recipe, run.random)
    assert {name for name, value in seen.items() if value == 0.0} == dead
    assert set(seen) == {name for name, _ in run.network.named_parameters()}


def test_bf16_is_for_the_convolutions_of_a_training_alone(tmp_path: Path) -> None:
    run = Run(Recipe(tasks=("cheap",), teacher="none", envs=4, rollout=8, precision="bf16"), ToyWorld(), tmp_path)
    rollout = run.collector.collect(run.network, run.random, 0.0, run.scales)
    inputs = (rollout.frames, rollout.previous, rollout.begins, rollout.hidden)
    half, _, state = run.network(*inputs)
    run.write(tmp_path / "policy")
    played, _, _ = PixelNetwork.from_pretrained(tmp_path / "policy")(*inputs)
    assert half.dtype == state.dtype == torch.float32
    assert not torch.equal(half, played)
    torch.testing.assert_close(half, played, atol=0.01, rtol=0.0)
    # what is learned from was drawn with the probabilities that the update computes
    logs = half.log_softmax(-1).gather(-1, rollout.actions[..., None])[..., 0]
    torch.testing.assert_close(logs, rollout.log_probs, atol=1e-3, rtol=0.0)


def test_a_segment_the_teacher_drives_teaches_by_imitation_alone(tmp_path: Path) -> None:
    run = Run(Recipe(tasks=("cheap",), teacher="scripted", envs=4, rollout=16), ToyWorld(), tmp_path)
    rollout = run.collector.collect(run.network, run.random, 1.0, run.scales)
    assert rollout.driven.all() and (rollout.actions == rollout.choices).all()
    before = run.network.value.weight.clone()
    figures = update(
        run.network, run.optimiser, run.scales, rollout, run.collector.tasks, np.ones(1), run.recipe, run.random
    )
    assert figures["policy"] == figures["value"] == figures["entropy"] == 0.0 and figures["imitation"] > 0.0
    assert torch.equal(run.network.value.weight, before)


def test_steps_without_a_choice_of_the_teacher_are_not_imitated(tmp_path: Path) -> None:
    run = Run(Recipe(tasks=("cheap",), teacher="scripted", envs=4, rollout=16), ToyWorld(), tmp_path)
    rollout = run.collector.collect(run.network, run.random, 1.0, run.scales)
    rollout.choices[:] = NO_CHOICE
    figures = update(
        run.network, run.optimiser, run.scales, rollout, run.collector.tasks, np.ones(1), run.recipe, run.random
    )
    assert figures["imitation"] == 0.0


def test_the_objective_is_clipped_where_a_larger_step_would_raise_it() -> None:
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5], requires_grad=True)
    gain = torch.tensor([1.0, 1.0, -1.0, -1.0])
    found = surrogate(ratio.log(), torch.zeros(4), gain, 0.2)
    assert torch.allclose(found, torch.tensor([1.2, 0.5, -1.5, -0.8]))
    found.sum().backward()
    assert ratio.grad is not None and torch.allclose(ratio.grad, torch.tensor([0.0, 1.0, -1.0, 0.0]))


def test_steps_of_a_batch_equal_the_unrolled_segment(tmp_path: Path) -> None:
    recipe = Recipe(tasks=("cheap",), teacher="scripted", envs=4, rollout=24, gru=8, channels=8)
    run = Run(recipe, ToyWorld(), tmp_path)
    run.collector.collect(run.network, run.random, 0.5, run.scales)
    rollout = run.collector.collect(run.network, run.random, 0.5, run.scales)  # begins within episodes
    assert rollout.begins.any() and rollout.hidden.abs().sum() > 0
    logits, values, _ = run.network(rollout.frames, rollout.previous, rollout.begins, rollout.hidden)
    logs = logits.log_softmax(-1).gather(-1, rollout.actions[..., None])[..., 0]
    assert torch.allclose(logs, rollout.log_probs, atol=1e-4)
    assert torch.allclose(values[..., 0], rollout.values, atol=1e-4)


def test_scales_keep_what_the_head_predicts_and_level_tasks() -> None:
    scales, head = Scales(2), torch.nn.Linear(4, 2)
    tasks, inputs = torch.tensor([0, 1, 0, 1]), torch.randn(7, 4)
    before = scales.raw(head(inputs), torch.arange(2)).detach()
    returns = torch.randn(50, 4) * torch.tensor([1.0, 100.0, 1.0, 100.0]) + torch.tensor([0.0, 300.0, 0.0, 300.0])
    counts = torch.ones(50, 4, dtype=torch.bool)
    for _ in range(300):
        scales.update(returns, tasks, counts, head)
    assert torch.allclose(scales.raw(head(inputs), torch.arange(2)), before, atol=1e-2)
    assert scales.deviation().tolist() == pytest.approx([1.0, 100.0], rel=0.2)
    assert scales.normal(returns, tasks).std(0).tolist() == pytest.approx([1.0] * 4, rel=0.3)
    counts[:, 2] = False
    gains = scales.advantages(returns, tasks, counts)
    assert gains[:, 0].std() == pytest.approx(1.0) and gains[:, [1, 3]].std() == pytest.approx(1.0, rel=0.05)
    assert not gains[:, 2].any()


def test_advantages_stop_at_an_end_and_go_on_beyond_a_time_out() -> None:
    rewards, ends = torch.tensor([[0.0], [1.0], [0.0]]), torch.tensor([[False], [True], [False]])
    values, after = torch.tensor([[0.5], [0.5], [7.0], [3.0]]), torch.tensor([[0.0], [2.0], [0.0]])
    found = estimate_advantages(rewards, values, ends, after, 0.9, 1.0)
    second = 1.0 + 0.9 * 2.0 - 0.5
    assert found[:, 0].tolist() == pytest.approx([0.9 * 0.5 - 0.5 + 0.9 * second, second, 0.9 * 3.0 - 7.0])


def test_only_frames_and_own_actions_count(folder: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (30, 2, 64, 64, 3), np.uint8)
    here, there = DMLabVectorEnv([LEVEL] * 2), DMLabVectorEnv(["rooms_watermaze", "psychlab_visual_search"])
    told = []
    for env in (here, there):
        policy, state, env_steps = PixelExpert(folder, env), None, []
        env.reset(seed=1)
        policy.begin_episodes(np.arange(2), np.array([5, 6]))
        for frame in frames:
            env.step(np.zeros(2, np.int64))  # the worlds change, the policy is shown the same pictures
            actions, state = policy.predict(frame, state)
            env_steps.append(actions)
        told.append(np.array(env_steps))
    assert (told[0] == told[1]).all() and len(np.unique(told[0])) > 2


def test_the_previous_action_counts_also_where_another_one_was_done(folder: Path) -> None:
    env = DMLabVectorEnv([LEVEL] * 2)
    policy = PixelExpert(folder, env, temperature=0.0)
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    actions, state = policy.predict(frames)
    _, (untold, _) = policy.predict(frames, state)
    policy.took((actions + 3) % 15)
    _, (told, _) = policy.predict(frames, state)
    policy.took(actions)
    _, (same, _) = policy.predict(frames, state)
    assert (told != untold).any() and (same == untold).all()


def test_an_episode_does_not_depend_on_what_plays_beside_it(folder: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 19, 64, 64, 3), np.uint8)
    many, one = DMLabVectorEnv([LEVEL] * 19), DMLabEnv(LEVEL, "litelab")
    wide, alone = PixelExpert(folder, many, 0.8, seed=3), PixelExpert(folder, one, 0.8, seed=3)
    wide.begin_episodes(np.arange(19), np.arange(19))
    alone.begin_episodes(np.array([0]), np.array([17]))
    state = own = None
    for step, frame in enumerate(frames):
        start = np.full(19, step == 10)
        actions, state = wide.predict(frame, state, start)
        action, own = alone.predict(frame[17], own, start[:1])
        assert action == actions[17] and np.isscalar(action)
        assert (own[0][0] == state[0][17]).all()


def collect(folder: Path, out: Path, *more: str) -> RolloutStore:
    given = ["collect", "--tasks", LEVEL, "--steps", "1", "--out", str(out), "--engine", "litelab"]
    given += ["--expert", f"pixel:{folder}", "--temperature", "0.9", *more]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", SHORT_FLEXLAM, *given], check=True, env=environment)
    return RolloutStore(store_path(out, LEVEL, "train"))


def test_a_recorded_episode_is_the_same_in_another_process(folder: Path, tmp_path: Path) -> None:
    one, two = collect(folder, tmp_path / "a"), collect(folder, tmp_path / "b", "--num-envs", "3")
    assert one.origin.policy == f"pixel:{folder}"
    a, b = one.episode_at(0), two.episode_at(0)
    assert len(np.unique(a.action)) > 2
    assert (a.action == b.action).all() and (a.frames == b.frames).all() and (a.reward == b.reward).all()


def test_commands_take_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = ["expert", "score", "--levels", "rooms_watermaze", "--episodes", "1", "--engine", "litelab", "--expert"]
    assert main([*score, f"pixel:{folder}"]) == 0
    assert f"pixel:{folder}" in capsys.readouterr().err
    policy = Player(f"pixel:{folder}")
    policy.check_name()
    assert not policy.blind and isinstance(policy.make(DMLabVectorEnv([LEVEL])), PixelExpert)
    assert main([*score, f"pixel:{tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert "holds no config.json" in said and "Traceback" not in said


def test_what_does_not_fit_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, words in (
        ({"frame_skip": 8}, "frame skip 4; the environment has 8"),
        ({"action_set": "impala9"}, "action set 'dreamer15'; the environment has 'impala9'"),
        ({"width": 32, "height": 32}, r"frame size \(64, 64\); the environment has \(32, 32\)"),
    ):
        with pytest.raises(ValueError, match=words):
            PixelExpert(folder, DMLabEnv(LEVEL, "litelab", **options))
    monkeypatch.setattr("flexlam_rl.checkpoints.PIXEL_EXPERT", folder / "none")
    with pytest.raises(ValueError, match="No pixel expert comes with this version"):
        make_expert("pixel", DMLabEnv(LEVEL, "litelab"))
    monkeypatch.setattr("flexlam_rl.checkpoints.PIXEL_EXPERT", folder)
    assert isinstance(make_expert("pixel", DMLabEnv(LEVEL, "litelab")), PixelExpert)


def test_half_the_size(tmp_path: Path) -> None:
    for name, half in (("whole", False), ("half", True)):
        run = Run(Recipe(tasks=("cheap",), envs=4, rollout=4, half=half, teacher="none"), ToyWorld(), tmp_path / name)
        run.evaluate()
    sizes = [(tmp_path / name / "best" / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    one, two = (PixelNetwork.from_pretrained(tmp_path / name / "best") for name in ("whole", "half"))
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert all(b.dtype == torch.float32 and torch.allclose(a, b, atol=1e-3) for a, b in pairs)


def test_a_replayed_batch_is_where_it_was() -> None:
    recipe = Recipe(tasks=("cheap", "dear"), teacher="scripted", envs=4, rollout=9, gru=4, channels=4)
    network = PixelNetwork(PixelConfig(5, recipe.tasks, ToyWorld.spec, 4, 4))
    first = Collector(ToyWorld(), recipe, Rows(4, 2, 4))
    first.collect(network, np.random.default_rng(0), 0.5, Scales(2))
    again = Collector(ToyWorld(), recipe, first.rows, [list(actions) for actions in first.history])
    one, two = first.fleet, again.fleet
    assert (two.frames == one.frames).all() and (two.batch.at == one.batch.at).all()
    assert (two.batch.door == one.batch.door).all() and one.batch.at.any()


def test_an_episode_begins_without_memory(folder: Path) -> None:
    policy = PixelExpert(folder, DMLabVectorEnv([LEVEL] * 2), temperature=0.0)
    frames = np.random.default_rng(0).integers(0, 256, (2, 2, 64, 64, 3), np.uint8)
    actions, (fresh, _) = policy.predict(frames[1])
    _, state = policy.predict(frames[0])
    again, (hidden, _) = policy.predict(frames[1], state, np.array([True, False]))
    assert again[0] == actions[0] and (hidden[0] == fresh[0]).all() and (hidden[1] != fresh[1]).any()
