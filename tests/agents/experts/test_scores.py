"""`flexlam expert score`: the table it writes, and the random policy."""

import json
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.experts.scores import measure
from flexlam_rl.agents.policy.random import RandomPolicy
from flexlam_rl.cli import main
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.returns import litelab_table
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv
from flexlam_rl.envs.measured import measured_reference

ROOM, PSYCHLAB = "rooms_exploit_deferred_effects_train", "psychlab_visual_search"


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table.json"
    score = ["expert", "score", "--episodes", "3", "--engine", "litelab", "--out", str(out), "--levels"]
    assert main([*score, ROOM]) == 0
    first = json.loads(out.read_text())
    assert main([*score, PSYCHLAB, "--beside", "reactive"]) == 0
    table = json.loads(out.read_text())
    assert list(table["levels"]) == [PSYCHLAB, ROOM]  # in the order of the levels; the older row is kept
    assert table["levels"][ROOM] == first["levels"][ROOM]
    assert (table["engine"], table["action_set"], table["textures"]) == ("litelab", "dreamer15", "procedural")
    assert f"--tasks {PSYCHLAB}" in table["command"] and "--beside reactive" in table["command"]
    assert table["levels"][PSYCHLAB]["reactive"]["mean"] == measure(PSYCHLAB, Settings("reactive"), 3).mean
    assert measured_reference(out, "litelab", PSYCHLAB, "reactive") is not None
    assert measured_reference(out, "litelab", ROOM, "reactive") is None
    returns = measure(ROOM, Settings(expert="scripted"), 3).returns
    row = table["levels"][ROOM]["expert"]
    assert row["mean"] == pytest.approx(np.mean(returns), abs=1e-3)
    assert row["standard_error"] == pytest.approx(np.std(returns, ddof=1) / np.sqrt(3), abs=1e-3)
    said = capsys.readouterr().out
    assert PSYCHLAB in said and "39.85" in said  # the real engine's row stands beside it


def test_evaluation_episodes_are_those_of_a_users_own_loop() -> None:
    """Episode i is what reset(seed=i) of an environment with evaluation=True plays, whatever the batch."""
    returns = measure(ROOM, Settings(), 3, num_envs=2).returns
    for i, expected in enumerate(returns):
        env = DMLabEnv(ROOM, "litelab", evaluation=True, width=8, height=8)
        from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert

        expert = ScriptedExpert(env)
        observation, _ = env.reset(seed=i)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(expert(observation))
            total += reward
            over = terminated or truncated
        assert total == expected


def test_the_random_policy_is_uniform_and_repeatable() -> None:
    env = DMLabVectorEnv([ROOM] * 4)
    policy = RandomPolicy(env, seed=3)
    policy.begin_episodes(np.arange(4), np.array([10, 11, 10, 12]))
    drawn = np.array([policy.predict(None)[0] for _ in range(3000)])
    assert (drawn[:, 0] == drawn[:, 2]).all() and (drawn[:, 0] != drawn[:, 1]).any()
    counts = np.bincount(drawn[:, [0, 1, 3]].ravel(), minlength=15)
    assert len(counts) == 15
    assert (np.abs(counts - 600) < 120).all()  # 5 standard deviations
    again = RandomPolicy(env, seed=3)
    again.begin_episodes(np.arange(4), np.array([12, 0, 0, 0]))
    assert [again.predict(None)[0][0] for _ in range(100)] == drawn[:100, 3].tolist()
    native = RandomPolicy(DMLabEnv(ROOM, "litelab", action_set="native7"), seed=0)
    rows = np.array([native.predict(np.zeros((8, 8, 3)))[0] for _ in range(300)])
    assert rows.shape == (300, 7)
    assert rows[:, 0].min() < -400 and rows[:, 0].max() > 400 and set(rows[:, 4]) == {0, 1}


def test_the_documented_table_is_the_one_in_use() -> None:
    page = (Path(__file__).parents[3] / "docs" / "experts.md").read_text(encoding="utf-8")
    for level, rows in litelab_table()["levels"].items():
        cells = [f"{row['mean']:.2f} ± {row['standard_error']:.2f}" for row in (rows["random"], rows["expert"])]
        assert f"| {level} | {cells[0]} | {cells[1]} |" in page
