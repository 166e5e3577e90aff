"""The rivals of a prior that learns: in latent space, on actions, and from a pixel expert; and the command."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.agents.experts.pixel.network import PixelNetwork
from flexlam_rl.agents.experts.pixel.running import drive
from flexlam_rl.agents.experts.pixel.world import DomainWorld
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.finetune.plan import FinetunePlan, make_run
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.cli import main
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
from flexlam_rl.envs.observations import frames_of

LEVEL = "explore_goal_locations_small"
PLAN = FinetunePlan(
    tasks=(LEVEL,), envs=2, rollout=6, steps=24, epochs=1, minibatches=2, value_steps=0, evaluate_every=10**9
)  # fmt: skip


@pytest.fixture
def scored(monkeypatch):
    """Names of what is evaluated, which is not played."""
    names: list[str] = []

    def score(self, player, task, episodes):
        names.append(player)
        return 1.0, 1.0

    monkeypatch.setattr(DomainWorld, "score", score)
    return names


def first_frames(rows: int) -> tuple[DMLabVectorEnv, np.ndarray]:
    env = DMLabVectorEnv([LEVEL] * rows, evaluation=True)
    return env, frames_of(env.reset(seed=0)[0]).copy()


@pytest.mark.parametrize("budget", [1, 2])
def test_a_policy_of_latent_space_learns_codes_and_plays_actions(budget, bundle_folder, tmp_path, scored):
    run = make_run(replace(PLAN, what="latent-space", budget=budget), str(bundle_folder), tmp_path)
    assert run.recipe.entropy == 0.01 and run.recipe.learning_rate == 5e-4  # of fresh networks
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    best = drive(run)
    assert scored == [f"latent:{tmp_path / 'last'}"]
    network = PixelNetwork.from_pretrained(best)
    assert network.config.choices == budget and network.config.actions == run.world.policy.lam.code_count
    assert all(not torch.equal(before[name], value) for name, value in network.state_dict().items() if "policy" in name)
    history = run.collector.history
    assert all(np.size(codes) == budget for episode in history for codes in episode)

    env, frames = first_frames(3)
    player = make_expert(f"latent:{best}", env, seed=1)
    player.begin_episodes(np.arange(3), np.arange(3))
    actions, state = player.predict(frames, None, np.ones(3, bool))
    again = make_expert(f"latent:{best}", env, seed=1)
    again.begin_episodes(np.arange(3), np.arange(3))
    assert np.array_equal(actions, again.predict(frames, None, np.ones(3, bool))[0])
    saved = copy.deepcopy(player.snapshot(state))
    later = np.random.default_rng(0).integers(0, 256, (4, *frames.shape), np.uint8)
    played = []
    for seen in later:
        action, state = player.predict(seen, state, np.zeros(3, bool))
        played.append(action)
    state = again.restore(saved)
    for seen, action in zip(later, played, strict=True):
        mine, state = again.predict(seen, state, np.zeros(3, bool))
        assert np.array_equal(action, mine)
    assert len(np.unique(played)) > 1
    env.close()


def test_a_pixel_expert_goes_on_from_its_weights_and_is_held_there(pixel_expert_folder, tmp_path, scored):
    start = PixelNetwork.from_pretrained(pixel_expert_folder)
    plan = replace(PLAN, what="pixel", start=str(pixel_expert_folder), learning_rate=0.0, anchor=1.0)
    run = make_run(plan, None, tmp_path / "still")
    for name, value in run.network.state_dict().items():
        if not name.startswith("value"):
            assert torch.equal(value, start.state_dict()[name])
    assert abs(run.iterate()["anchor"]) < 1e-6 and abs(run.iterate()["anchor"]) < 1e-6
    run.close()
    moved = []
    for anchor in (1e-9, 10.0):
        run = make_run(replace(plan, learning_rate=3e-3, anchor=anchor, epochs=4), None, tmp_path / str(anchor))
        moved.append([run.iterate()["anchor"] for _ in range(4)][-1])
        run.close()
    assert moved[0] > 2 * moved[1] > 0.0
    with pytest.raises(ValueError, match="is a pixel expert with gru"):
        from flexlam_rl.agents.experts.pixel.network import begin_from

        other = replace(start.config, gru=start.config.gru + 1)
        begin_from(PixelNetwork(other), str(pixel_expert_folder))


def test_a_bundle_plays_by_its_name(bundle_folder):
    env, frames = first_frames(2)
    policy = make_expert(f"bundle:{bundle_folder}@2", env, temperature=0.0)
    assert isinstance(policy, LatentActionPolicy) and policy.budget == 2
    mine = LatentActionPolicy.from_pretrained(bundle_folder, 2, chunk=16, deterministic=True)
    assert np.array_equal(policy.predict(frames)[0], mine.predict(frames)[0])
    with pytest.raises(ValueError, match=r"expected 'bundle:PATH' or 'bundle:PATH@K'"):
        make_expert(f"bundle:{bundle_folder}@two", env)
    env.close()


def test_the_command_tells_hours_and_refuses_in_a_sentence(bundle_folder, tmp_path, capsys):
    small = ["--envs", "2", "--rollout", "4", "--minibatches", "1", "--epochs", "1"]
    command = ["finetune", str(bundle_folder), "--out", str(tmp_path / "run"), "--level", LEVEL, *small]
    assert main([*command, "--dry-run"]) == 0
    assert "1,000,000 steps left" in capsys.readouterr().out and not (tmp_path / "run").exists()
    for more, words in (
        (["--budget", "9"], "budget is 9; expected 1..4"),
        (["--what", "native", "--anchor", "0.1"], "starts from fresh weights"),
        (["--start", "x"], "only --what pixel starts from a pixel expert"),
        (["--level", "nowhere"], "nowhere"),
        (["--envs", "0"], "envs is 0"),
    ):
        assert main([*command, *more]) == 2
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 1 and words in told[0], told
    assert not (tmp_path / "run").exists()
