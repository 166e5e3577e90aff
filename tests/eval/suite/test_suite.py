"""The suite: episodes by seed alone, continuation after kills, tables, refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.utils.command_line import INTERRUPTED, WRONG_USE
from tests.eval.conftest import SHORT_FLEXLAM

ROOT = Path(__file__).resolve().parents[3]
SHORT = "rooms_exploit_deferred_effects_train"  # 60 s at most, and 5 s here

pytestmark = pytest.mark.usefixtures("short_episodes")


def suite(out: Path, *arguments: str, episodes: int = 2, levels: tuple[str, ...] = (SHORT,)) -> int:
    return main(
        ["suite", "--out", str(out), "--episodes", str(episodes), "--no-plots", "--levels", *levels, *arguments]
    )


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="module")
def played(tmp_path_factory, bundle_folder) -> Path:
    """Two budgets, three episodes, all in one batch."""
    out = tmp_path_factory.mktemp("suite") / "run"
    assert suite(out, "--checkpoint", str(bundle_folder), "--budget", "1,3", episodes=3) == 0
    return out


def test_one_environment_at_a_time_gives_the_same_episodes(played, bundle_folder, tmp_path):
    out = tmp_path / "one"
    assert suite(out, "--checkpoint", str(bundle_folder), "--budget", "1,3", "--num-envs", "1", episodes=3) == 0
    assert (out / "results.json").read_bytes() == (played / "results.json").read_bytes()
    rows = results(out)["episodes"]
    assert len({(row["return"], row["steps"]) for row in rows}) > 1


def test_greedy_episodes_do_not_depend_on_the_batch_either(bundle_folder, tmp_path):
    for name, count in (("one", "1"), ("many", "64")):
        assert (
            suite(
                tmp_path / name,
                "--checkpoint",
                str(bundle_folder),
                "--budget",
                "2",
                "--greedy",
                "--num-envs",
                count,
                episodes=3,
            )
            == 0
        )
    assert results(tmp_path / "one")["episodes"] == results(tmp_path / "many")["episodes"]


def test_temperatures_change_who_plays(bundle_folder, tmp_path, capsys):
    given = ("--checkpoint", str(bundle_folder), "--budget", "2")
    runs = {"own": (), "cold": ("--temperature", "0"), "hot": ("--action-temperature", "1"), "greedy": ("--greedy",)}
    for name, extra in runs.items():
        assert suite(tmp_path / name, *given, *extra) == 0
    episodes = {name: results(tmp_path / name)["episodes"] for name in runs}
    assert episodes["cold"] == episodes["greedy"]  # the bundle's actions are greedy already
    assert results(tmp_path / "cold")["decoding"] == {"temperature": 0.0, "action_temperature": 0.0}
    assert results(tmp_path / "hot")["decoding"] == {"temperature": 1.0, "action_temperature": 1.0}
    assert suite(tmp_path / "own", *given, "--temperature", "0") == WRONG_USE
    assert "decoding" in capsys.readouterr().err
    assert suite(tmp_path / "new", *given, "--temperature", "-1") == WRONG_USE


def test_an_experts_actions_have_a_temperature_and_what_has_none_says_so(pixel_expert_folder, tmp_path, capsys):
    who = ("--policy", f"pixel:{pixel_expert_folder}")
    runs = {
        "own": (),
        "hot": ("--action-temperature", "1"),
        "cold": ("--action-temperature", "0"),
        "greedy": ("--greedy",),
    }
    for name, extra in runs.items():
        assert suite(tmp_path / name, *who, *extra) == 0
    episodes = {name: results(tmp_path / name)["episodes"] for name in runs}
    assert episodes["own"] == episodes["hot"] != episodes["cold"] == episodes["greedy"]
    assert results(tmp_path / "cold")["action_temperature"] == 0.0
    capsys.readouterr()
    for policy, option in (
        ("random", "--action-temperature"),
        ("expert", "--temperature"),
        ("oracle", "--action-temperature"),
        ("random", "--context"),
        ("random", "--history"),
        ("oracle", "--history"),
    ):
        assert suite(tmp_path / "refused", "--policy", policy, option, "1") == WRONG_USE
        assert f"the policy '{policy}' has none" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()


def test_results_say_what_they_are(played):
    record = results(played)
    assert record["scene"]["engine"] == "litelab"
    assert record["scene"]["textures"] == "procedural"
    assert len(record["checkpoint"]["hash"]) == 64
    assert record["checkpoint"]["config"]["environment"]["action_set"] == record["scene"]["action_set"] == "dreamer15"
    assert record["sessions"][0]["machine"]
    assert set(record["summary"]) == {"FlexLAM@1", "FlexLAM@3"}
    row = record["summary"]["FlexLAM@3"]["levels"][SHORT]
    returns = np.array([e["return"] for e in record["episodes"] if e["budget"] == 3])
    assert row["mean"] == returns.mean()
    assert row["normalised"] == pytest.approx(100 * returns.mean() / row["expert"])
    lines = (played / "episodes.csv").read_text().splitlines()
    assert lines[0] == "level,budget,number,seed,return,steps"
    assert len(lines) == 7
    first = json.loads((played / "episodes.jsonl").read_text().splitlines()[1])
    assert first["milliseconds"] > 0
    assert json.loads((played / "timing.json").read_text())["seconds"]["generate"] > 0


def test_a_run_grows_and_nothing_is_played_twice(played, bundle_folder, tmp_path, monkeypatch, capsys):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(played, out)
    before = (out / "episodes.jsonl").read_bytes()
    assert suite(out, "--checkpoint", str(bundle_folder), "--budget", "3", episodes=4) == 0
    after = (out / "episodes.jsonl").read_bytes()
    assert after.startswith(before)
    new = [
        line for line in after[len(before) :].splitlines() if b'"session"' not in line
    ]  # one there is, if a day has ended meanwhile
    assert len(new) == 1
    assert "3 of 4 episodes" in " ".join(capsys.readouterr().out.split())
    monkeypatch.setattr("flexlam_rl.eval.suite.command.play_batch", None)  # nothing is left to play
    assert suite(out, "--checkpoint", str(bundle_folder), "--budget", "3", episodes=4) == 0


def test_a_run_that_is_continued_on_another_day_has_the_same_results(played, bundle_folder, tmp_path):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(played, out)
    today = json.loads((out / "timing.json").read_text())["dates"][0]
    lines = (out / "episodes.jsonl").read_text().replace(today, "2020-02-29").splitlines(keepends=True)
    (out / "episodes.jsonl").write_text("".join(lines[:-1]))
    (out / "results.json").unlink()
    assert suite(out, "--checkpoint", str(bundle_folder), "--budget", "1,3", episodes=3) == 0
    assert (out / "results.json").read_bytes() == (played / "results.json").read_bytes()
    dates = json.loads((out / "timing.json").read_text())["dates"]
    assert dates[0] == "2020-02-29" and len(dates) == 2


def test_killed_at_random_and_continued_equals_uninterrupted(played, bundle_folder, tmp_path):
    """SIGKILL twice in mid-run, once with a half-written line left behind."""
    out = tmp_path / "killed"
    given = ("--checkpoint", str(bundle_folder), "--budget", "1,3", "--num-envs", "1")
    command = [sys.executable, "-c", SHORT_FLEXLAM, "suite", "--out", str(out), *given]
    command += ["--episodes", "3", "--levels", SHORT, "--no-plots"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = out / "episodes.jsonl"

    def written() -> int:
        return len(log.read_bytes().splitlines()) if log.exists() else 0

    for lines in (2, 4):  # the first one says what is played
        with subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
        ) as process:
            deadline = time.monotonic() + 120
            while written() < lines and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -signal.SIGKILL
    with open(log, "ab") as file:
        file.write(b'{"level": "rooms_ex')
    assert suite(out, *given, episodes=3) == 0
    records = [results(folder) for folder in (out, played)]
    for record in records:  # somebody may commit, or edit a file, between two processes
        record["sessions"] = {session["machine"] for session in record["sessions"]}
    assert records[0] == records[1]


def test_interrupt_is_one_sentence_and_loses_nothing(bundle_folder, tmp_path, start_flexlam):
    out = tmp_path / "run"
    arguments = [
        "suite",
        "--out",
        str(out),
        "--checkpoint",
        str(bundle_folder),
        "--budget",
        "1",
        "--num-envs",
        "1",
        "--levels",
        SHORT,
    ]
    with start_flexlam(*arguments, code=SHORT_FLEXLAM) as process:
        deadline = time.monotonic() + 120
        while not (out / "episodes.jsonl").exists() or len((out / "episodes.jsonl").read_bytes().splitlines()) < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert len(said.strip().splitlines()) == 1
    assert "of 50 episodes are stored" in said
    assert "the same command continues" in said


@pytest.mark.parametrize("policy", ["random", "expert", "previous-action"])
def test_controls_run_through_the_same_suite(policy, bundle_folder, tmp_path):
    given = ("--policy", policy, "--checkpoint", str(bundle_folder))
    assert suite(tmp_path / "many", *given) == 0
    assert suite(tmp_path / "one", *given, "--num-envs", "1") == 0
    assert results(tmp_path / "many")["episodes"] == results(tmp_path / "one")["episodes"]
    assert set(results(tmp_path / "many")["summary"]) == {policy}


def test_behaviour_cloning_plays(write_cloning, tmp_path, capsys):
    given = ("--policy", "bc", "--checkpoint", str(write_cloning(tmp_path / "train")))
    assert suite(tmp_path / "many", *given) == 0
    assert suite(tmp_path / "one", *given, "--num-envs", "1") == 0
    assert results(tmp_path / "many")["episodes"] == results(tmp_path / "one")["episodes"]
    capsys.readouterr()
    assert suite(tmp_path / "none", "--policy", "bc") == WRONG_USE
    assert "needs --checkpoint" in capsys.readouterr().err
    assert suite(tmp_path / "none2", "--policy", "bc", "--checkpoint", str(tmp_path / "many")) == WRONG_USE


def test_other_packages_policies_play(tmp_path, monkeypatch):
    from flexlam_rl.agents.policy import registry as policies

    class Turn:
        def __init__(self, env, checkpoint, seed, device, deterministic):
            self.rows = env.unwrapped.num_envs
            assert (checkpoint, seed, device, deterministic) == (None, 0, "cpu", None)

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            assert observation.shape == (self.rows, 64, 64, 3)
            return np.full(self.rows, 6), state

    class Point:
        name = "installed"

        def load(self):
            return Turn

    monkeypatch.setattr(policies.POLICIES, "_registered", {})
    monkeypatch.setattr(
        "flexlam_rl.utils.registry.entry_points", lambda group: [Point()] if group == "flexlam_rl.policies" else []
    )
    policies.register_policy("turn", Turn)
    for name in ("turn", "installed"):
        assert suite(tmp_path / name, "--policy", name) == 0
        assert results(tmp_path / name)["policy"] == name
        assert name in policies.policy_names()
    with pytest.raises(ValueError, match="built in"):
        policies.register_policy("random", Turn)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--budget", "0"], ["budget is 0", "1..4"]),
        (["--budget", "5"], ["budget is 5", "1..4"]),
        (["--budget", "2,x"], ["'2,x'"]),
        (["--budget", "2,2"], ["twice"]),
        (["--policy", "clever"], ["'clever'", "previous-action"]),
        (["--policy", "nowhere:make"], ["nowhere"]),
        (["--checkpoint", "no-such-folder"], ["'no-such-folder'"]),
        (["--seed", "-1"], ["seed is -1"]),
        (["--textures", "labmaze"], ["look", "'procedural'", "'labmaze'"]),
        (["--num-envs", "0"], ["num_envs"]),
        (["--device", "cuda"], ["'cuda'"]),
    ],
)
def test_wrong_use_is_one_sentence(arguments, words, bundle_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    given = ["--checkpoint", str(bundle_folder)] if "--checkpoint" not in arguments else []
    if "labmaze" in arguments:
        pytest.importorskip("labmaze")
    assert suite(tmp_path / "run", *given, *arguments) == WRONG_USE
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1, said
    assert all(word in said for word in words), said


def test_another_runs_folder_and_foreign_folders_are_refused(played, bundle_folder, tmp_path, capsys):
    before = {path: path.read_bytes() for path in played.iterdir()}
    assert suite(played, "--checkpoint", str(bundle_folder), "--seed", "1") == WRONG_USE
    assert "another configuration (seed 0, now 1)" in capsys.readouterr().err
    assert suite(played, "--checkpoint", str(bundle_folder), "--cache", "bf16") == WRONG_USE
    assert "another configuration (cache None, now 'bf16')" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in played.iterdir()} == before
    (tmp_path / "notes.txt").write_text("mine")
    assert suite(tmp_path, "--policy", "random") == WRONG_USE
    assert "something other" in capsys.readouterr().err
    file = tmp_path / "file"
    file.write_text("")
    assert suite(file, "--policy", "random") == WRONG_USE
    assert str(file) in capsys.readouterr().err


def test_a_full_disk_is_one_sentence(tmp_path, capsys, monkeypatch):
    import errno

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert suite(tmp_path / "run", "--policy", "random", episodes=1) == 0
    monkeypatch.setattr("flexlam_rl.eval.suite.results.os.fsync", full)
    assert suite(tmp_path / "run", "--policy", "random", episodes=2) == WRONG_USE
    said = capsys.readouterr().err
    assert "is full" in said
    assert len(said.strip().splitlines()) == 1


def test_two_runs_cannot_write_one_folder(tmp_path):
    from flexlam_rl.eval.suite.results import Folder
    from flexlam_rl.utils.errors import StoreLocked

    folder = Folder(tmp_path / "run", {"policy": "x"})
    with pytest.raises(StoreLocked):
        Folder(tmp_path / "run", {"policy": "x"})
    folder.close()
    Folder(tmp_path / "run", {"policy": "x"}).close()


def test_videos_and_plots(bundle_folder, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "run"
    arguments = [
        "suite",
        "--out",
        str(out),
        "--episodes",
        "1",
        "--checkpoint",
        str(bundle_folder),
        "--budget",
        "1,2",
        "--videos",
        "--levels",
        SHORT,
    ]
    assert main(arguments) == 0
    assert sorted(p.name for p in (out / "videos").iterdir()) == [f"{SHORT}-K1.mp4", f"{SHORT}-K2.mp4"]
    assert (out / "levels.png").stat().st_size > 1000
    assert (out / "aggregate.png").stat().st_size > 1000
