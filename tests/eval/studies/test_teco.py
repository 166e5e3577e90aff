"""`flexlam study teco`: every comparison is trained with the same arithmetic, and a stopped study goes on."""

import json
from pathlib import Path

import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.teco import Options, jobs_of
from tests.train.conftest import rollouts

__all__ = ["rollouts"]


def test_arms_and_their_lengths(tmp_path: Path) -> None:
    options = Options(data=tmp_path, out=tmp_path, seeds=2, lam_run=tmp_path)
    jobs = jobs_of(options, (64, 32, 16), 1000, 500)
    assert len({job.name for job in jobs}) == len(jobs) == 1 + 2 * 11
    lengths = {job.arm: job.length for job in jobs}
    assert lengths["vqgan"] == 500
    assert (lengths["window64"], lengths["window32"], lengths["window16"]) == (1000, 2000, 4000)
    assert lengths["k0"] == lengths["k16"] == 1000 and lengths["ar"] < lengths["maskgit"] < 1000
    assert lengths["side4"] < lengths["side2"] < 1000
    with pytest.raises(ValueError, match=r"sides is \(1, 8\); expected some of"):
        Options(data=tmp_path, out=tmp_path, sides=(1, 8))
    told = {job.arm: (job.condition, job.budget) for job in jobs}
    assert told["k0"] == ("none", 0) and told["k4"] == ("latents", 4) and told["window16"] == ("actions", 0)


def test_a_study_trains_all_arms_and_goes_on(rollouts, tmp_path: Path, capsys) -> None:
    out = tmp_path / "study"
    command = ["study", "teco", "--data", str(rollouts), "--out", str(out), "--preset", "debug", "--seeds", "1"]
    command += ["--steps", "2", "--vqgan-steps", "2", "--windows", "4", "2", "--sides", "1", "2"]
    assert main([*command, "--dry-run"]) == 0 and not out.exists()
    assert "7 of 7 jobs left" in capsys.readouterr().out
    assert main(command) == 0
    page = capsys.readouterr().out
    assert "flexlam study consistency" in page and f"ar={out}/runs/ar-seed0/direct/best/direct" in page
    [row] = json.loads((out / "results" / "window2-seed0.json").read_text())
    assert row["steps"] == 4 and row["loss"] > 0 and (out / "README.md").read_text() in page
    (out / "results" / "ar-seed0.json").unlink()
    assert main([*command, "--dry-run"]) == 0
    assert "1 of 7 jobs left" in capsys.readouterr().out
    assert main([*command[:-2], "--sides", "1"]) != 0
    assert "sides" in capsys.readouterr().err
