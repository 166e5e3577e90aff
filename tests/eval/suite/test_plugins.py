"""Policies and experts of an installed package: entry points name them, the suite plays them, stores record them."""

import json
from pathlib import Path

import pytest

from flexlam_rl.agents.experts.registry import EXPERTS, make_expert
from flexlam_rl.agents.policy.registry import POLICIES, register_policy
from flexlam_rl.cli import main
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import store_path
from flexlam_rl.utils.command_line import WRONG_USE

ROOM = "rooms_exploit_deferred_effects_train"
CODE = '''
import numpy as np


class Turning:
    """Turns, another way after each restart of the map."""

    def __init__(self, env, action):
        self.rows, self.action = env.unwrapped.num_envs, action

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert observation.shape == (self.rows, 64, 64, 3)
        return np.full(self.rows, self.action), state


def policy(env, checkpoint=None, seed=0, device="cpu", deterministic=None, budgets=0):
    assert (checkpoint, seed, device, deterministic, budgets) == (None, 3, "cpu", None, None)
    return Turning(env, 5)


def expert(env, argument="", temperature=1.0, seed=0):
    return Turning(env, int(argument or 6))


def broken(env, **options):
    return object()
'''
POINTS = """[flexlam_rl.policies]
turning = toy_players:policy
broken = toy_players:broken

[flexlam_rl.experts]
turner = toy_players:expert
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with entry points, as pip installs one."""
    site = tmp_path / "site"
    facts = site / "toy_players-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "toy_players.py").write_text(CODE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-players\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(site))


def suite(out: Path, policy: str, *arguments: str) -> int:
    given = ["suite", "--policy", policy, "--out", str(out), "--episodes", "1", "--seed", "3", "--no-plots"]
    return main([*given, "--tasks", ROOM, "--engine", "litelab", *arguments])


def test_policies_and_experts_of_a_package_play(package: None, tmp_path: Path) -> None:
    assert "turning" in POLICIES and "turner" in EXPERTS
    names = ("turning", "turner", "turner:5")
    for name in names:
        assert suite(tmp_path / name, name) == 0
    records = [json.loads((tmp_path / name / "results.json").read_bytes()) for name in names]
    assert [record["policy"] for record in records] == list(names)
    # the expert with the argument does what the policy does, the other one turns the other way
    assert records[0]["episodes"] == records[2]["episodes"]
    out = tmp_path / "rollouts"
    collected = ["collect", "--expert", "turner:5", "--out", str(out), "--steps", "10", "--level", ROOM]
    assert main([*collected, "--engine", "litelab", "--executor", "native"]) == 0
    (episode, *_) = RolloutStore(store_path(out, ROOM, "train")).iter_episodes()
    assert episode.action is not None and set(episode.action.tolist()) == {5}


def test_what_cannot_play_is_refused_in_one_sentence(
    package: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert suite(tmp_path / "a", "broken") == WRONG_USE
    assert "Policy 'broken' made a object, which has no predict(" in capsys.readouterr().err
    assert suite(tmp_path / "b", "turnin") == WRONG_USE
    said = capsys.readouterr().err
    assert "Unknown policy 'turnin': expected flexlam, oracle, random, expert" in said and "turning" in said
    with pytest.raises(
        ValueError,
        match="Unknown expert 'tuner': expected scripted, reactive, wanderer, random, pixel, learned, bundle, latent, "
        "turner",
    ):
        make_expert("tuner", None)
    with pytest.raises(ValueError, match="'flexlam' is built in"):
        register_policy("flexlam", object)


def test_tasks_of_a_domain_and_the_old_name_of_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert suite(tmp_path / "new", "random") == 0
    old = ["suite", "--policy", "random", "--out", str(tmp_path / "old"), "--episodes", "1", "--seed", "3"]
    for words in (["--levels", ROOM], [f"--levels={ROOM}"]):
        assert main([*old, "--no-plots", "--engine", "litelab", *words]) == 0
    assert (tmp_path / "old" / "episodes.csv").read_bytes() == (tmp_path / "new" / "episodes.csv").read_bytes()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["suite", "--help"])
    said = capsys.readouterr().out
    assert "--tasks" in said and "--domain" in said and "--levels" not in said
    assert suite(tmp_path / "none", "random", "--domain", "mars") == WRONG_USE
    assert "Unknown domain 'mars': expected one of dmlab" in capsys.readouterr().err.replace("(did you mean", "")
    assert main([*old, "--domain", "dmlab", "--tasks", ROOM, ROOM]) == WRONG_USE
    assert f"tasks names a task twice: {ROOM}, {ROOM}" in capsys.readouterr().err
