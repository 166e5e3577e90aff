"""The alignment study with the latent action models of other papers beside FlexLAM and Fixed-K."""

import csv
import json
from dataclasses import replace

import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies import alignment_methods
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage
from flexlam_rl.models.systems import load_slot_model


def arguments(data, out, *more):
    small = ("--preset", "debug", "--budgets", "2", "--numbers", "3", "--seeds", "1", "--labels", "standard")
    lengths = ("--translator-steps", "3", "--label-count", "40", "--held-out", "100")
    models = ("--models", "flexlam,fixed,lapo,adaworld,laom")
    return ["study", "alignment", "--data", str(data), "--out", str(out), *small, *lengths, *models, *more]


def test_all_methods_stand_in_one_table_at_equal_bits_and_by_numbers(rollouts, tmp_path):
    assert main(arguments(rollouts, tmp_path, "--steps", "3", "--fsq-levels", "5", "3")) == 0
    rows = {
        (row["model"], int(row["budget"])): row
        for row in csv.DictReader((tmp_path / "results.csv").open())
    }  # fmt: skip
    assert set(rows) == {
        ("FlexLAM", 0), ("FlexLAM", 2), ("Fixed-K", 2), ("LAPO", 2), ("AdaWorld", 1), ("LAOM", 1)
    }  # fmt: skip
    assert {rows[name, 2]["bits"] for name in ("FlexLAM", "Fixed-K", "LAPO")} == {"7.81"}  # 2 log2(15)
    assert {(rows[name, 1]["bits"], rows[name, 1]["numbers"]) for name in ("AdaWorld", "LAOM")} == {("", "3")}
    for run, latent in (("lapo2", (2, 16, 15)), ("adaworld3", (1, 3, None)), ("laom3", (1, 3, None))):
        spec = load_slot_model(tmp_path / f"runs/{run}-seed0/lam/best/lam").latent
        assert (spec.slots, spec.dim, spec.codes) == latent
    table = json.loads((tmp_path / "summary.json").read_text())["methods"]
    assert [row["model"] for row in table] == ["FlexLAM", "Fixed-K", "LAPO", "AdaWorld", "LAOM"]
    assert all(row["steps"] == 3 and row["parameters"] > 10_000 and "gain" in row for row in table)
    page = (tmp_path / "summary.md").read_text()
    assert "| standard | LAPO | 2 | 7.8 | 32 |" in page and "| standard | LAOM | 1 | continuous | 3 |" in page


def test_seconds_become_steps_by_a_trial_that_leaves_nothing(rollouts, tmp_path):
    args = TrainArgs(rollouts, tmp_path / "none", "debug")
    places = []

    def train(folder, steps):
        places.append(folder)
        train_stage("lam", replace(args, out=folder, steps=steps))

    path = tmp_path / "steps.json"
    few = alignment_methods.steps_in(1.0, path, "flexlam", train)
    assert few > alignment_methods.TRIAL / 2 and not places[0].exists()
    assert json.loads(path.read_text()) == {"flexlam": few}
    assert alignment_methods.steps_in(9.0, path, "flexlam", train) == few and len(places) == 1, "it is kept"
    many = alignment_methods.steps_in(10.0, path, "fixed4", train)
    assert 4 * few < many < 25 * few


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--models", "flexlam,lopa"), "models has 'lopa'; expected some of flexlam, fixed, lapo, adaworld, laom"),
        (("--models", "lapo"), "models is 'lapo'; expected flexlam first, and each method once"),
        (("--numbers", "0"), "numbers is 0; expected at least 1"),
        (("--seconds", "0"), "seconds is 0.0; expected a finite number, 1 or more"),
        (("--seconds", "5", "--device", "cuda"), "seconds is 5, of processor time, and device is 'cuda'; give steps"),
        (("--steps", "3", "--seconds", "5"), "steps is 3 and seconds is 5; give one of them"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_written(rollouts, tmp_path, capsys, more, sentence):
    assert main(arguments(rollouts, tmp_path / "out", *more)) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
