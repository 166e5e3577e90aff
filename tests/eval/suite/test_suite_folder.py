"""A suite's folder: what a stop leaves, what a failure leaves, which other run is refused, numbers of NumPy, paths."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.environments import episode_steps
from flexlam_rl.cli import main
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite import command as suite
from flexlam_rl.eval.suite.batches import Job, Played, all_jobs
from flexlam_rl.eval.suite.progress import Progress, Remaining
from flexlam_rl.eval.suite.results import Folder
from flexlam_rl.utils.command_line import INTERRUPTED, WRONG_USE

SHORT, LONG = "rooms_exploit_deferred_effects_train", "psychlab_visual_search"


def play(out: Path | str, *arguments: str, episodes: int = 4) -> int:
    given = [
        "suite",
        "--out",
        str(out),
        "--policy",
        "random",
        "--episodes",
        str(episodes),
        "--no-plots",
        "--levels",
        SHORT,
    ]
    return main([*given, *arguments])


def test_a_stop_at_half_time_keeps_episodes_of_a_small_run(tmp_path, monkeypatch, capsys):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert play(whole) == 0
    steps = sum(row["steps"] for row in json.loads((whole / "results.json").read_bytes())["episodes"])
    stepped, done = Progress.stepped, 0

    def stop(self, playing):
        nonlocal done
        done += playing
        if done > steps / 2:
            raise KeyboardInterrupt
        stepped(self, playing)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "stepped", stop)
        assert play(stopped) == INTERRUPTED
    kept = [line for line in (stopped / "episodes.jsonl").read_text(encoding="utf-8").splitlines() if "level" in line]
    assert 1 <= len(kept) < 4
    assert f"{len(kept)} of 4 episodes are stored" in capsys.readouterr().err
    assert play(stopped) == 0
    assert (stopped / "results.json").read_bytes() == (whole / "results.json").read_bytes()


def test_a_stop_before_the_first_episode_says_so_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    def stop(self, playing):
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "stepped", stop)
    assert play(tmp_path / "a" / "b") == INTERRUPTED
    assert "none had ended yet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_no_folder(tmp_path, capsys):
    assert main(["suite", "--policy", "bc", "--out", str(tmp_path / "a" / "b"), "--levels", SHORT]) == WRONG_USE
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    assert main(["suite", "--policy", "bc", "--out", str(tmp_path / "mine"), "--levels", SHORT]) == WRONG_USE
    assert (tmp_path / "mine").is_dir()  # it was there before


def test_what_differs_is_named_with_both_values(tmp_path):
    identity = {
        "policy": "x", "scene": {"engine": "litelab", "textures": "procedural", "frame_skip": 4},
        "checkpoint": {"name": "a", "hash": "1" * 64, "config": {"decoding": {"temperature": 0.5}}},
    }  # fmt: skip
    out = tmp_path / "run"
    for checkpoint in (identity["checkpoint"], {**identity["checkpoint"], "name": "renamed"}):
        folder = Folder(out, identity | {"checkpoint": checkpoint})
        folder.add(Played(Job(SHORT, 0, 0, 1), 2.0, 3, 4.0, 1))
        folder.close()
    for change, words in (
        ({"scene": {**identity["scene"], "textures": "labmaze"}}, "scene.textures 'procedural', now 'labmaze'"),
        ({"scene": {**identity["scene"], "frame_skip": 8}}, "scene.frame_skip 4, now 8"),
        (
            {"checkpoint": {**identity["checkpoint"], "hash": "2" * 64}},
            "checkpoint a of hash 111111111111, now a of hash 222222222222",
        ),
        ({"policy": "y"}, "policy 'x', now 'y'"),
    ):
        with pytest.raises(ValueError, match="another configuration") as refused:
            Folder(out, identity | change)
        assert words in str(refused.value)
        assert (out / "config.json").is_file()


def test_numbers_of_numpy_are_numbers(tmp_path):
    own = suite.Options(policy="random", tasks=(SHORT,), episodes=2, seed=3, plots=False, out=tmp_path / "a")
    numpys = replace(
        own,
        episodes=np.int64(2),
        seed=np.uint32(3),
        num_envs=np.int16(1),
        plots=np.bool_(False),
        tasks=[SHORT],
        out=tmp_path / "b",
    )
    assert suite.run(own) == suite.run(numpys) == 0
    assert (tmp_path / "a" / "results.json").read_bytes() == (tmp_path / "b" / "results.json").read_bytes()


def test_any_path_leads_to_the_same_folder(tmp_path, monkeypatch, capsys):
    inner = tmp_path / "with space" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert play("../run a", episodes=1) == 0
    (tmp_path / "link").symlink_to(tmp_path / "with space" / "run a")
    capsys.readouterr()
    for path in ("../run a", tmp_path / "with space" / "run a", tmp_path / "link", "../inner/../run a"):
        assert play(path, episodes=1) == 0
        assert "holds 1 of 1 episodes" in " ".join(capsys.readouterr().out.split())
        assert main(["compare", str(path), "../run a", "--out", "new folder/c.json"]) == 0
    assert (inner / "new folder" / "c.json").is_file()


@pytest.mark.parametrize("setup", [0.0, 500.0])
def test_the_time_left_is_about_right_where_levels_differ_in_length(setup):
    """A round takes a second however many environments still play, and compiling before the first one is not
    repeated.
    """
    spec = EnvSpec()
    jobs = all_jobs((SHORT, LONG), (0,), 4, 0)
    lengths = {level: episode_steps(spec, level) for level in (SHORT, LONG)}
    remaining = Remaining([jobs[:6], jobs[6:]], spec)
    now, total = setup, 2 * lengths[LONG]
    for wave in (jobs[:6], jobs[6:]):
        for step in range(1, max(lengths[job.level] for job in wave) + 1):
            now += 1.0
            remaining.stepped(sum(lengths[job.level] >= step for job in wave), now)
            left = remaining.seconds(now)
            if now - setup > 1:
                assert 0.99 * (total - (now - setup)) <= left <= 1.6 * (total - (now - setup)) + 1
            for job in wave:
                if lengths[job.level] == step:
                    remaining.finished(job, step)
    assert remaining.steps == remaining.total


def test_steps_that_are_played_again_tell_nothing_of_the_time_left():
    jobs = all_jobs((SHORT,), (0,), 4, 0)
    steps = episode_steps(EnvSpec(), SHORT)
    remaining = Remaining([jobs], EnvSpec())
    remaining.replaying = True
    for step in range(steps // 2):
        remaining.stepped(4, 0.001 * step)
        assert remaining.seconds(0.001 * step) is None
    remaining.replaying = False
    for step in range(1, 11):
        remaining.stepped(4, 1.0 + step)
    assert remaining.seconds(11.0) == pytest.approx(steps - steps // 2 - 10, rel=0.2)


def test_a_level_is_shown_as_soon_as_its_episodes_have_ended(tmp_path, capsys, monkeypatch):
    for name in ("EVERY", "RATE"):
        monkeypatch.setattr(f"flexlam_rl.eval.suite.progress.{name}", 0.0)
    both = (LONG, "--num-envs", "4")  # one more level
    assert play(tmp_path / "run", *both, episodes=2) == 0
    lines = capsys.readouterr().out.splitlines()
    short, long = (next(i for i, line in enumerate(lines) if line.startswith(level)) for level in (SHORT, LONG))
    assert any(line.startswith("suite: 2/4 episodes") for line in lines[short:long])  # the other one plays on
    record = json.loads((tmp_path / "run" / "results.json").read_bytes())["summary"]["random"]["levels"][SHORT]
    assert (
        f"random: return {record['mean']:.2f} ± {record['standard_error']:.2f}, {record['normalised']:.1f}"
        in (lines[short])
    )
    assert play(tmp_path / "run", *both, episodes=3) == 0  # a run that grows: rows of all three
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(SHORT)]
    record = json.loads((tmp_path / "run" / "results.json").read_bytes())["summary"]["random"]["levels"][SHORT]
    assert f"return {record['mean']:.2f}" in lines[0]
