"""The matched-budget study at debug size: what it compares, that a kill costs nothing, what its intervals mean."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import flexlam_rl
from flexlam_rl.cli import main
from flexlam_rl.eval.studies import alignment, alignment_report
from flexlam_rl.eval.studies.alignment import Job, Options

ROOT = Path(flexlam_rl.__file__).parents[1]


def arguments(data, out, *more):
    small = [
        "--preset",
        "debug",
        "--budgets",
        "1,4",
        "--seeds",
        "2",
        "--steps",
        "3",
        "--translator-steps",
        "4",
        "--label-count",
        "40",
    ]
    return ["--data", str(data), "--out", str(out), *small, "--narrow-task", "beta", "--held-out", "100", *more]


@pytest.fixture(scope="module")
def study(rollouts, tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    assert main(["alignment", *arguments(rollouts, out)]) == 0
    return out


def test_every_budget_has_both_models_with_the_same_labels_and_steps(study):
    rows = list(csv.DictReader((study / "results.csv").open()))
    cases = {(r["model"], int(r["budget"]), r["labels"], int(r["seed"])) for r in rows}
    kinds = ("standard", "narrow")
    assert cases == {
        *(("FlexLAM", k, kind, seed) for k in (0, 1, 4) for kind in kinds for seed in (0, 1)),
        *(("Fixed-K", k, kind, seed) for k in (1, 4) for kind in kinds for seed in (0, 1)),
    }
    loops, labels = set(), {}
    for run in (study / "runs").iterdir():
        config = json.loads((run / "lam/config.json").read_text())
        fixed = run.name.startswith("fixed")
        assert (config["model"]["prefix"], config["model"]["slots"]) == (not fixed, int(run.name[5]) if fixed else 4)
        loops.add(json.dumps({**config["loop"], "seed": 0}))
        for kind in kinds:
            labels.setdefault((run.name[-1], kind), set()).add(
                json.loads((run / kind / "translator/config.json").read_text())["labels"]
            )
    assert len(loops) == 1
    assert all(len(names) == 1 for names in labels.values())
    assert len(set.union(*labels.values())) == 4
    for name in ("summary.json", "summary.md", "alignment.png"):
        assert (study / name).stat().st_size > 500


def test_a_finished_study_is_not_run_again_and_more_budgets_extend_it(study, rollouts, capsys):
    before = {p: p.stat().st_mtime_ns for p in (study / "runs").rglob("state.safetensors")}
    assert main(["alignment", *arguments(rollouts, study)]) == 0
    assert "job" not in capsys.readouterr().out, "something was run again"
    assert main(["alignment", *arguments(rollouts, study, "--budgets", "1,2,4", "--seeds", "1")]) == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (study / "runs/fixed2-seed0").is_dir()


def test_a_study_killed_again_and_again_equals_one_that_ran_through(rollouts, study, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "flexlam_rl.eval.studies.alignment",
        *arguments(rollouts, tmp_path, "--seeds", "1", "--budgets", "4", "--labels", "narrow"),
    ]
    for wanted in ("runs/flexlam-seed0/lam/metrics.jsonl", "results/flexlam-seed0-narrow.json"):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while not (tmp_path / wanted).exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    whole = [
        r
        for r in alignment_report.read_results(study)
        if (r["seed"], r["labels"]) == (0, "narrow") and r["budget"] in (0, 4)
    ]
    assert [r for r in alignment_report.read_results(tmp_path) if r["budget"] in (0, 4)] == whole


def test_intervals_are_students(monkeypatch):
    mean, half = alignment_report.interval([1.0, 2.0, 3.0])
    assert mean == 2.0 and half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert np.isnan(alignment_report.interval([1.0])[1])


def test_differences_are_paired_by_seed():
    def row(model, seed, loss):
        return {
            "model": model,
            "budget": 4,
            "labels": "standard",
            "seed": seed,
            "loss": loss,
            "accuracy": 0.5,
            "flow_loss": 0.1,
        }

    # seeds differ much, the models within a seed little
    rows = [row("FlexLAM", s, s + 0.9) for s in range(3)] + [row("Fixed-K", s, s + 1.0) for s in range(3)]
    entry = next(e for e in alignment_report.summarise(rows) if e["metric"] == "loss")
    assert entry["difference"]["mean"] == pytest.approx(-0.1)
    assert entry["difference"]["half_width"] < 1e-6
    assert entry["FlexLAM"]["half_width"] > 1
    assert "| standard | 4 | 1.9000 ± 2.4841 | 2.0000 ± 2.4841 | -0.1000 ± 0.0000 |" in alignment_report.markdown(
        [entry]
    )


def test_a_plan_lists_the_jobs_and_writes_nothing(rollouts, tmp_path, capsys):
    out = tmp_path / "planned"
    assert main(["study", "alignment", *arguments(rollouts, out), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "alignment: 18 of 18 jobs left" in said and "  fixed4-seed1-narrow: 4 steps, not timed yet" in said
    assert not out.exists()


def test_a_folder_of_a_version_before_is_continued(study, rollouts, tmp_path, capsys):
    """Options had other names, and there was no timing.json."""
    old = tmp_path / "old"
    shutil.copytree(study, old)
    (old / "timing.json").unlink(missing_ok=True)  # absent too where the trainings were too short to time
    config = json.loads((old / "config.json").read_text())
    for now, before in (("narrow_task", "narrow_level"), ("prefix_distribution", "prefix_law")):
        config[before] = config.pop(now)
    (old / "config.json").write_text(json.dumps(config))
    assert main(["alignment", *arguments(rollouts, old, "--narrow-level", "beta")]) == 0
    assert "job" not in capsys.readouterr().out


def test_jobs_finish_a_seed_before_the_next():
    order = [job.name for job in alignment.jobs([1, 4], ["standard"], 2)]
    first = [
        "flexlam-seed0",
        "flexlam-seed0-standard",
        "fixed1-seed0",
        "fixed1-seed0-standard",
        "fixed4-seed0",
        "fixed4-seed0-standard",
    ]
    assert order[:6] == first and Job(1, None).name == order[6]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--budgets", "1,5"], "budgets is 5; expected 1..4"),
        (["--budgets", "many"], "budgets is 'many'; expected numbers as in 1,4,16"),
        (["--labels", "wide"], "labels has 'wide'; expected some of standard, narrow"),
        (["--seeds", "0"], "seeds is 0"),
        (["--narrow-task", "gamma"], "task 'gamma' is not among the rollouts"),
        (["--steps", "9"], "holds a run with another configuration: steps is 3 there and 9 here"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(study, rollouts, capsys, more, sentence):
    assert main(["alignment", *arguments(rollouts, study, *more)]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_video_without_actions_is_refused(video, tmp_path, capsys):
    assert main(["alignment", *arguments(video, tmp_path)]) == 2
    assert "have no actions; alignment needs them" in capsys.readouterr().err


def test_default_budgets_exist_in_their_presets(tmp_path):
    for preset in alignment.DEFAULT_BUDGETS:
        assert alignment.parse(Options(tmp_path, tmp_path, preset=preset))[0]


def test_levels_and_conditioning_reach_every_model_and_belong_to_the_study(rollouts, tmp_path, capsys):
    one = ["--seeds", "1", "--budgets", "1", "--labels", "standard"]
    other = ["--levels", "5", "3", "--conditioning", "slots+frame"]
    assert main(["alignment", *arguments(rollouts, tmp_path, *one, *other)]) == 0
    for run in (tmp_path / "runs").iterdir():
        assert json.loads((run / "lam/config.json").read_text())["model"]["levels"] == [5, 3]
        assert (
            json.loads((run / "standard/translator/config.json").read_text())["model"]["conditioning"] == "slots+frame"
        )
    capsys.readouterr()
    assert main(["alignment", *arguments(rollouts, tmp_path, *one)]) == 2
    error = capsys.readouterr().err
    assert (
        "conditioning is 'slots+frame' there and 'slots+action' here; fsq_levels is [5, 3] there and None here" in error
    )
