"""The ablations at debug size: each case sees what its name says, a kill costs nothing, what is wrong is named."""

import csv
import json

import pytest

from flexlam_rl.eval.studies import ablations
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage
from flexlam_rl.utils.command_line import run as run_command


@pytest.fixture(scope="module")
def lam(rollouts, tmp_path_factory):
    out = tmp_path_factory.mktemp("lam")
    train_stage("lam", TrainArgs(rollouts, out, preset="debug", steps=3))
    return out


def command(lam, rollouts, out, *more):
    small = [
        "--preset",
        "debug",
        "--label-counts",
        "30,60",
        "--budgets",
        "1,4",
        "--seeds",
        "2",
        "--steps",
        "3",
        "--held-out",
        "60",
    ]
    arguments = [str(lam), "--data", str(rollouts), "--out", str(out), *small, *more]
    return run_command(ablations.Options, ablations.run, arguments, "python -m eval.ablations")


@pytest.fixture(scope="module")
def study(lam, rollouts, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablations")
    assert command(lam, rollouts, out) == 0
    return out


def test_every_case_is_measured_at_every_number_of_labels(study):
    rows = list(csv.DictReader((study / "results.csv").open()))
    budgets = {case: ([""] if case == "inverse dynamics" else ["1", "4"]) for case in ablations.CASES}
    assert sorted((r["case"], r["budget"], r["labels"], r["seed"]) for r in rows) == sorted(
        (case, k, labels, seed)
        for case, of in budgets.items()
        for k in of
        for labels in ("30", "60")
        for seed in ("0", "1")
    )
    assert (study / "ablations.png").stat().st_size > 500
    assert "| inverse dynamics |  | " in (study / "summary.md").read_text()


def test_cases_are_what_their_names_say(study, lam):
    before = LAM.from_pretrained(lam / "lam/best/lam").state_dict()
    for job in ablations.jobs(ablations.Options(lam, lam, study, seeds=1), [30]):
        stage, conditioning = ablations.CASES[job.case]
        best = study / "runs" / job.name / stage / "best"
        config = json.loads((study / "runs" / job.name / stage / "config.json").read_text())
        assert config["labels"] == "ablation-30-seed0"
        if stage != "idm":
            assert config["model"]["conditioning"] == conditioning
        if stage == "joint":
            moved = {
                name
                for name, tensor in LAM.from_pretrained(best / "lam").state_dict().items()
                if not tensor.equal(before[name])
            }
            assert moved and not any(name.startswith("decoder") for name in moved)


def test_a_finished_study_is_not_run_again_and_more_seeds_extend_it(study, lam, rollouts, capsys):
    assert command(lam, rollouts, study) == 0
    assert "job" not in capsys.readouterr().out
    assert command(lam, rollouts, study, "--seeds", "3", "--label-counts", "30") == 0
    assert capsys.readouterr().out.count("ablations: job") == len(ablations.CASES)


def test_means_and_intervals_are_over_seeds():
    rows = [
        {"case": "joint alignment", "labels": 9, "seed": s, "budget": 4, "loss": s + 1.0, "accuracy": 0.5}
        for s in range(3)
    ]
    (entry,) = ablations.summarise(rows)
    assert (entry["loss"], entry["seeds"], entry["accuracy_half_width"]) == (2.0, 3, 0.0)
    assert entry["loss_half_width"] == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert "| joint alignment | 4 | 2.000 ± 2.484 |" in ablations.markdown([entry])


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--budgets", "0,4"], "budgets is 0; expected 1..4"),
        (["--label-counts", "few"], "label_counts is 'few'; expected numbers as in 1,4,16"),
        (["--seeds", "0"], "seeds is 0"),
        (["--steps", "9"], "holds a run with another configuration: steps is 3 there and 9 here"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(study, lam, rollouts, capsys, more, sentence):
    assert command(lam, rollouts, study, *more) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
