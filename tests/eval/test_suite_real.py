"""The suite on the real engine's interface, over the stand-in that replays recordings: a process an environment."""

import json
import sys
from pathlib import Path

import pytest

from flexlam_rl.cli import main
from flexlam_rl.command_line import WRONG_USE
from flexlam_rl.envs import level_cache, real_engine

LEVELS = ("explore_obstructed_goals_small", "rooms_watermaze")


@pytest.fixture(autouse=True)
def module(monkeypatch, tmp_path):
    if sys.version_info >= (3, 14):
        pytest.skip("processes do not inherit the stand-in")
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "envs"))
    import stand_in

    monkeypatch.setattr(level_cache, "default_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(real_engine, "_owner", None)
    return stand_in.install(monkeypatch)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("policy", ["random", "previous-action", "flexlam"])
def test_policies_play_on_the_real_engine(policy, bundle_folder, tmp_path, capsys):
    out = tmp_path / "run"
    given = ["suite", "--engine", "deepmind_lab", "--policy", policy, "--checkpoint", str(bundle_folder), "--levels", *LEVELS]
    given += ["--episodes", "1", "--num-envs", "2", "--no-plots", "--out", str(out)]
    if policy == "flexlam":
        assert main([*given, "--budget", "1"]) == WRONG_USE
        assert "engine 'litelab'; the environment has 'deepmind_lab'" in capsys.readouterr().err
        out.rename(tmp_path / "refused")
        given += ["--any-look", "--budget", "1"]
    assert main(given) == 0, capsys.readouterr().err
    record = json.loads((out / "results.json").read_text())
    assert (record["scene"]["engine"], record["scene"]["textures"]) == ("deepmind_lab", "original")
    assert [row["level"] for row in record["episodes"]] == list(LEVELS)
    row = next(iter(record["summary"].values()))["levels"]["rooms_watermaze"]
    assert row["expert"] == 28.32  # the paper's, not litelab's
    assert "say nothing about another engine" in capsys.readouterr().out
