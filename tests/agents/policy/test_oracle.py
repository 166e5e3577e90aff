"""Oracle codes: what an expert would see next, on a copy of the worlds, encoded and translated."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.environments import make_batch, make_single
from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.bundle_files import save_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.oracle import OraclePolicy
from flexlam_rl.cli import main
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.nn.places import CheckpointError

MAZE, ROOM = "explore_goal_locations_small", "rooms_watermaze"


def begun(levels: list[str], seeds: list[int]):
    """A batch, and its first views."""
    env = make_batch(EnvSpec(engine="litelab"), levels)
    return env, env.reset(options={"reset_mask": np.ones(len(seeds), bool), "episode_seeds": seeds})[0]


def test_looking_ahead_shows_the_next_view_and_moves_nothing() -> None:
    (env, _), (plain, _) = begun([MAZE, ROOM], [3, 4]), begun([MAZE, ROOM], [3, 4])
    chance = np.random.default_rng(0)
    for _ in range(12):
        env.ahead(chance.integers(15, size=2))
        actions = chance.integers(15, size=2)
        before = env.worlds.copy()
        shown, restarts = env.ahead(actions)
        assert (env.worlds == before).all() and not restarts.any()
        seen = env.step(actions)[0]
        np.testing.assert_array_equal(seen, shown)
        np.testing.assert_array_equal(seen, plain.step(actions)[0])
    env.close()
    plain.close()


def test_the_experts_next_step_is_encoded_cut_and_translated(bundle_folder: Path) -> None:
    levels, seeds = [MAZE, ROOM, ROOM], [5, 6, 7]
    env, observation = begun(levels, seeds)
    other, _ = begun(levels, seeds)
    policy = OraclePolicy(load_bundle(bundle_folder), np.array([1, 2, 4]), env, "reactive", chunk=4)
    shown, lengths, choices, done = [], [], [], []
    encode, keep, predict, took = (
        policy.lam.encode,
        policy.lam.keep_prefix_unchecked,
        policy.expert.predict,
        policy.expert.took,
    )
    policy.lam.encode = lambda *frames: shown.append(frames) or encode(*frames)
    policy.lam.keep_prefix_unchecked = lambda codes, k: lengths.append(k.tolist()) or keep(codes, k)
    policy.expert.predict = lambda *a: choices.append(predict(*a)[0]) or (choices[-1], None)
    policy.expert.took = lambda actions: done.append(actions.tolist()) or took(actions)
    state = None
    for t in range(6):
        actions, state = policy.predict(observation, state, np.full(3, t == 0))
        now, after = (part[:3].movedim(1, -1).numpy() for part in shown[-1])
        np.testing.assert_array_equal(now, observation)
        other.worlds[:] = env.worlds
        np.testing.assert_array_equal(after, other.step(choices[-1])[0])
        assert lengths[-1][:3] == [1, 2, 4] and done[-1] == actions.tolist() == state[:, 0].tolist()
        observation = env.step(actions)[0]
    assert any(row != choice.tolist() for row, choice in zip(done, choices, strict=True))
    ahead = env.ahead
    env.ahead = lambda actions: (ahead(actions)[0], np.array([True, True, True]))
    actions, _ = policy.predict(observation, state)
    assert actions.tolist() == choices[-1].tolist()  # over a map restart there is no transition
    env.close()
    other.close()


def test_a_snapshot_goes_on_as_the_policy_would(bundle_folder: Path) -> None:
    (env, observation), (other, _) = begun([MAZE, ROOM], [5, 6]), begun([MAZE, ROOM], [5, 6])
    bundle = load_bundle(bundle_folder)
    policy, state = OraclePolicy(bundle, 4, env, "reactive", chunk=2), None
    for t in range(4):
        actions, state = policy.predict(observation, state, np.full(2, t == 0))
        observation = env.step(actions)[0]
    fresh = OraclePolicy(bundle, 4, other, "reactive", chunk=2)
    restored = fresh.restore(policy.snapshot(state))
    other.worlds[:] = env.worlds
    shown = observation
    for _ in range(3):
        actions, state = policy.predict(observation, state)
        again, restored = fresh.predict(shown, restored)
        np.testing.assert_array_equal(actions, again)
        observation, shown = env.step(actions)[0], other.step(again)[0]
    env.close()
    other.close()


def test_a_bundle_without_a_prior_plays_oracle_codes_alone(bundle_folder: Path, tmp_path: Path) -> None:
    bundle = load_bundle(bundle_folder)
    without = replace(bundle, config=replace(bundle.config, prior=False), sequence=None, folder=None)
    found = load_bundle(save_bundle(tmp_path / "bundle", without, bundle.config.decoding))
    assert found.sequence is None and not (tmp_path / "bundle" / "sequence").exists()
    assert found.hash != bundle.hash and "policy `oracle`" in (tmp_path / "bundle" / "README.md").read_text()
    with pytest.raises(CheckpointError, match="has no sequence model, so that only the policy 'oracle' can play it"):
        LatentActionPolicy(found, 4)
    env, observation = begun([ROOM], [5])
    actions = [OraclePolicy(part, 4, env, "reactive").predict(observation)[0] for part in (bundle, found)]
    assert actions[0] == actions[1]
    env.close()


def test_the_suite_plays_oracle_codes(bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="Oracle codes need a batch of litelab"):
        OraclePolicy(load_bundle(bundle_folder), 1, make_single(EnvSpec(engine="litelab"), MAZE))
    who = ["suite", "--policy", "oracle", "--checkpoint", str(bundle_folder), "--budget", "1,4"]
    rest = ["--tasks", "rooms_exploit_deferred_effects_train", "--episodes", "1", "--out", str(tmp_path / "out")]
    assert main([*who, *rest]) == 0
    said = capsys.readouterr().out
    assert "FlexLAM oracle@1" in said and "FlexLAM oracle@4" in said
    # what it did is told beside its return
    told = json.loads((tmp_path / "out" / "results.json").read_text())["behaviour"]["FlexLAM oracle@4"]
    assert 0 < told["agreement"] < 1 and 0 < told["still"] < 1 and len(told["recall"]) == 15
    assert "agrees with the adviser" in said and f"{told['agreement']:.2f}" in said
    assert main([*who, *rest[:4], "--adviser", "nobody", "--out", str(tmp_path / "none")]) == 2
    assert "adviser is 'nobody'" in capsys.readouterr().err and not (tmp_path / "none").exists()
