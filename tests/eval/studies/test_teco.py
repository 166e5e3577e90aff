"""`flexlam study teco`: every comparison is trained with the same arithmetic, and a stopped study goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.teco.orderings import orderings, verdicts
from flexlam_rl.eval.studies.teco.study import Options, jobs_of
from tests.train.conftest import rollouts

__all__ = ["rollouts"]


def test_arms_and_their_lengths(tmp_path: Path) -> None:
    options = Options(data=tmp_path, out=tmp_path, seeds=2, lam_run=tmp_path)
    jobs = jobs_of(options, (64, 32, 16), 1000, 4, 500)
    assert len({job.name for job in jobs}) == len(jobs) == 1 + 2 * 11
    lengths = {job.arm: job.length for job in jobs}
    assert lengths["vqgan"] == 500
    assert lengths["window64"] == lengths["window32"] == lengths["window16"] == 1000
    clips = {job.arm: job.batch for job in jobs}
    assert (clips["window64"], clips["window32"], clips["window16"]) == (4, 8, 16) and clips["side4"] == 4
    assert lengths["k0"] == lengths["k16"] == 1000 and lengths["ar"] < lengths["maskgit"] < 1000
    assert lengths["side4"] < lengths["side2"] < 1000
    with pytest.raises(ValueError, match=r"sides is \(1, 8\); expected some of"):
        Options(data=tmp_path, out=tmp_path, sides=(1, 8))
    told = {job.arm: (job.condition, job.budget) for job in jobs}
    assert told["k0"] == ("none", 0) and told["k4"] == ("latents", 4) and told["window16"] == ("actions", 0)


def predicted(model: str, run: int, psnr: list[float], perceptual: float, loop: float) -> dict[str, Any]:
    curves, mean = {"psnr": {"mean": psnr}}, {"psnr": sum(psnr) / len(psnr), "perceptual-x": perceptual}
    return {
        "model": model, "run": run, "budget": None, "protocol": "4-8", "curves": curves, "mean": mean,
        "loop": {"psnr": {"difference": loop}},
    }  # fmt: skip


def test_orderings_are_tested_over_seeds_on_the_predictions_that_are_there(tmp_path: Path) -> None:
    claims = orderings((64, 16), (1, 4), (1, 4))
    assert verdicts(claims, tmp_path) == []
    rows = []
    for run in range(3):
        noise = 0.01 * run
        rows += [
            predicted("window64", run, [20 + noise] * 8, 0.5, 2.0 + noise),
            predicted("window16", run, [20.5, 20.5, 18, 18, 18, 18, 16, 16], 0.5, 0.0),
            predicted("side4", run, [19] * 8, 0.3 + noise, 0.1),
            predicted("k0", run, [18] * 8, 0.5, 0.0),
            predicted("k1", run, [18 + 10 * noise * (-1) ** run] * 8, 0.5, 0.0),
        ]
    rows += [row | {"budget": 0, "mean": {"psnr": 0.0}} for row in rows]  # told nothing
    (tmp_path / "consistency").mkdir()
    (tmp_path / "consistency" / "results.json").write_text(json.dumps(rows))
    lines = {line.split(":")[0].removeprefix("- "): line for line in verdicts(claims, tmp_path)}
    ends = {title: line.split("seeds): ")[-1].split(" (")[0] for title, line in lines.items() if "seeds" in line}
    assert ends == {
        "a window of 64 frames predicts better than one of 16": "found",
        "with 64 frames the quality falls less than with 16": "found",
        "one token per frame predicts better than 4x4": "found",
        "one token per frame remembers better than 4x4": "found",
        "4x4 tokens per frame are sharper than one": "found",
        "K = 1 predicts better than K = 0": "not found",
    }
    assert "with 64 frames the quality falls less than with 16: -4.500" in "\n".join(lines.values())


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
    assert row["steps"] == 2 and row["loss"] > 0 and (out / "README.md").read_text() in page
    (out / "results" / "ar-seed0.json").unlink()
    assert main([*command, "--dry-run"]) == 0
    assert "1 of 7 jobs left" in capsys.readouterr().out
    assert main([*command[:-2], "--sides", "1"]) != 0
    assert "sides" in capsys.readouterr().err
