"""The suite on the real engine's interface, over the stand-in that replays recordings: a process an environment."""

import json
import sys
from pathlib import Path

import pytest

from flexlam_rl.cli import main
from flexlam_rl.envs.domains.dmlab import level_cache, real_engine
from flexlam_rl.envs.domains.dmlab.levels import LEVELS as LEVEL_FACTS
from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.utils.command_line import WRONG_USE

LEVELS = ("explore_obstructed_goals_small", "rooms_watermaze")


@pytest.fixture(autouse=True)
def module(monkeypatch, tmp_path):
    if sys.version_info >= (3, 14):
        pytest.skip("processes do not inherit the stand-in")
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "envs"))
    import stand_in

    monkeypatch.setattr(level_cache, "default_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(real_engine, "_owner", None)
    return stand_in.install(monkeypatch)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("policy", ["random", "previous-action", "flexlam"])
def test_policies_play_on_the_real_engine(policy, bundle_folder, tmp_path, capsys):
    out = tmp_path / "run"
    given = [
        "suite",
        "--engine",
        "deepmind_lab",
        "--policy",
        policy,
        "--checkpoint",
        str(bundle_folder),
        "--levels",
        *LEVELS,
    ]
    given += ["--episodes", "1", "--num-envs", "2", "--no-plots", "--out", str(out)]
    if policy == "flexlam":
        assert main([*given, "--budget", "1"]) == WRONG_USE
        said = capsys.readouterr().err
        assert (
            "engine 'litelab'; the environment has 'deepmind_lab'" in said and "on the command line --any-look" in said
        )
        assert not out.exists(), "a refused run leaves no folder"
        given += ["--any-look", "--budget", "1"]
    assert main(given) == 0, capsys.readouterr().err
    record = json.loads((out / "results.json").read_text())
    assert (record["scene"]["engine"], record["scene"]["textures"]) == ("deepmind_lab", "original")
    assert [row["level"] for row in record["episodes"]] == list(LEVELS)
    row = next(iter(record["summary"].values()))["levels"]["rooms_watermaze"]
    assert row["expert"] == 28.32  # the paper's, not litelab's
    assert "say nothing about another engine" in capsys.readouterr().out


SHORT = min(SUITE, key=lambda name: LEVEL_FACTS[name].frames)


@pytest.mark.usefixtures("short_episodes")
@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (
            "flexlam",
            "Playing on litelab, where the checkpoint was trained; --engine deepmind_lab --any-look plays it on "
            "deepmind_lab.",
        ),
        ("previous-action", "Playing on litelab, where the checkpoint was trained;"),
        ("expert", "cannot play deepmind_lab: it plays litelab; another --policy can play deepmind_lab."),
    ],
)
def test_auto_is_the_engine_that_the_policy_knows(policy, line, bundle_folder, tmp_path, capsys):
    given = ["suite", "--policy", policy, "--checkpoint", str(bundle_folder), "--levels", SHORT, "--episodes", "1"]
    assert main([*given, "--budget", "1", "--no-plots", "--out", str(tmp_path / "run")]) == 0
    assert line in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "results.json").read_text())["scene"]["engine"] == "litelab"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["suite", "--policy", "expert", "--levels", SHORT], "use --engine litelab or another --policy."),
        (["suite", "--policy", "random", "--textures", "labmaze"], "--textures labmaze is a look of litelab"),
        (["expert", "score", "--levels", SHORT, "--episodes", "1"], "use --engine litelab or another --expert."),
        (["collect", "--level", SHORT, "--steps", "1"], "use --engine litelab or another --expert."),
        (
            ["collect", "--level", SHORT, "--steps", "1", "--expert", "random", "--textures", "labmaze"],
            "--textures labmaze is a look of litelab",
        ),
    ],
)
def test_what_the_real_engine_cannot_do_is_refused_at_once(given, words, tmp_path, capsys):
    assert main([*given, "--engine", "deepmind_lab", "--out", str(tmp_path / "out")]) == WRONG_USE
    said = capsys.readouterr()
    assert words in said.err and len(said.err.strip().splitlines()) == 1 and not said.out
    assert not (tmp_path / "out").exists()


def test_collecting_with_the_scripted_expert_takes_litelab(tmp_path, capsys):
    assert main(["collect", "--level", SHORT, "--steps", "1", "--num-envs", "1", "--out", str(tmp_path / "out")]) == 0
    assert "cannot play deepmind_lab: it plays litelab" in capsys.readouterr().err
