"""`flexlam data budgets`: what is searched, what it goes with, and pictures."""

import json

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.lam.budgets.figures import change, correlation, detail, ends, summary
from flexlam_rl.utils.command_line import WRONG_USE
from tests.eval.conftest import write_rollouts

LEVEL = "rooms_exploit_deferred_effects_train"


def test_figures():
    flat, lines = np.full((2, 16, 16, 3), 90, np.uint8), np.zeros((2, 16, 16, 3), np.uint8)
    lines[:, ::4] = 255
    assert (detail(flat) == 0).all() and (detail(lines) > 0.5).all()
    assert np.allclose(change(flat, lines), np.abs(90.0 - lines).mean((1, 2, 3)) / 255)
    k = np.array([1, 1, 2, 4, 4, 3])
    assert correlation(k, 2.0 * k - 7) == pytest.approx(1) and correlation(k, np.ones(6)) is None
    assert correlation(k, np.where(k < 3, np.nan, -k)) == pytest.approx(-1)
    found = np.stack([k, k < 4, np.full(6, 4)], 1)
    figures = summary(found, 4, {"k": k.astype(float)}, {"four": k == 4, "never": k == 9})
    assert figures["histogram"] == [2, 1, 1, 2] and figures["met"] == pytest.approx(4 / 6)
    assert figures["events"] == {"four": {"count": 2, "at": 4.0, "elsewhere": 1.75}}
    low, high = ends(k, 2)
    assert sorted(low) == [0, 1] and sorted(high) == [3, 4]


def test_budgets_are_searched_told_and_drawn(bundle_folder, tmp_path, capsys):
    data = write_rollouts(tmp_path / "data", levels=(LEVEL,), engine="litelab", textures="procedural")
    given = ["data", "budgets", str(data), "--run", str(bundle_folder), "--out", str(tmp_path / "out")]
    assert main([*given, "--tolerance", "0.3", "--watch", "1", "--looked-at", "30"]) == 0
    said = capsys.readouterr().out
    record = json.loads((tmp_path / "out/budgets.json").read_text())
    assert set(record["levels"]) == {f"{LEVEL}/train", f"{LEVEL}/test", f"{LEVEL}/watched"}
    part = record["levels"][f"{LEVEL}/train"]
    assert part["transitions"] == 120 == sum(part["histogram"]) and part["met"] == 1 and part["evaluations"] == 4
    assert {"detail", "change", "camera"} <= set(part["correlation"])
    assert {"detail", "change", "camera", "speed"} == set(record["levels"][f"{LEVEL}/watched"]["correlation"])
    assert record["searched"]["tolerance"] == 0.3 and f"{LEVEL}/train: 120 transitions, mean k*" in said
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {"histograms.png", *(f"{LEVEL}-{name}.png" for name in ("train", "test", "watched"))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tolerance", "-1"), "tolerance is -1.0; expected a finite number, 0 or more"),
        (("--tolerance", "nan"), "tolerance is nan"),
        (("--examples", "0"), "examples is 0"),
    ],
)
def test_bad_options_write_nothing(options, message, rollouts, bundle_folder, tmp_path, capsys):
    given = ["data", "budgets", str(rollouts), "--run", str(bundle_folder), "--out", str(tmp_path / "out")]
    assert main([*given, *options]) == WRONG_USE
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_fixed_model_has_nothing_to_search(rollouts, make_bundle_folder, tmp_path, capsys):
    folder = make_bundle_folder(tmp_path / "fixed", fixed=2)
    assert main(["data", "budgets", str(rollouts), "--run", str(folder)]) == WRONG_USE
    assert "Fixed-K has 2 slots and no other budget" in capsys.readouterr().err
