"""The elastic study at the smallest size: every kind of job trains and is measured, and figures are what they say."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.elastic.measuring import HeldOut, elastic_rows
from flexlam_rl.eval.studies.elastic.report import levels, shares
from flexlam_rl.eval.studies.elastic.study import Options
from flexlam_rl.eval.video.pixels import edge_strength
from tests.train.conftest import rollouts

__all__ = ["rollouts"]


def test_the_study_trains_measures_and_goes_on(rollouts, tmp_path, capsys):
    out = tmp_path / "out"
    command = [
        "study", "elastic", "--data", str(rollouts), "--out", str(out), "--preset", "debug", "--seeds", "1",
        "--lengths", "2", "8", "--thresholds", "0.1", "0.5", "--blocks", "2", "--held-out", "6", "--steps", "2",
        "--grown-steps", "1", "--regressor-steps", "1", "--bins", "3",
    ]  # fmt: skip
    assert main([*command, "--dry-run"]) == 0
    assert "5 of 5 jobs left" in capsys.readouterr().out and not out.exists()
    assert main(command) == 0
    page = capsys.readouterr().out
    for name in ("elastic-seed0", "constant2-seed0", "constant8-seed0", "regressor-seed0", "grown-seed0"):
        assert (out / "results" / f"{name}.json").exists()
    written = ("summary.md", "elastic.json", "curves.csv", "shares.png", "complexity.png", "lengths.png")
    assert all((out / name).exists() for name in (*written, "pictures/elastic-seed0.png"))
    tables = json.loads((out / "elastic.json").read_text())
    assert [row["search"] for row in tables["searches"]] == ["full", "binned", "binary", "regressed"] * 2
    passes = [row["evaluations"]["mean"] for row in tables["searches"][:4]]
    assert passes[0] == 7 and passes[1] == 3 and 2 <= passes[2] <= 3 and passes[3] == 1
    assert {row["task"] for row in tables["levels"]} == {"alpha", "beta", "all tasks"}
    assert [row["model"] for row in tables["blocks"]] == ["alone", "grown"] * 2 and "| 0.5 | grown |" in page
    first = (out / "results" / "elastic-seed0.json").read_bytes()
    assert main([*command[:-2], "--bins", "4"]) != 0 and "bins is 3 there and 4 here" in capsys.readouterr().err
    assert main(command) == 0 and (out / "results" / "elastic-seed0.json").read_bytes() == first


def test_figures_of_known_costs():
    # four blocks that meet 0.5 at lengths 1, 2, 4 and never
    curves = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.9, 0.5, 0.4, 0.3], [0.8, 0.7, 0.6, 0.5], [0.9, 0.8, 0.7, 0.6]])
    data = HeldOut(torch.zeros(4, 1), ["a", "a", "b", "b"], torch.tensor([[1.0], [2.0], [3.0], [9.0]]), 1)
    config = SimpleNamespace(thresholds=(0.5,), bins=2)
    rows = [{"seed": 0} | row for row in elastic_rows(curves, torch.tensor([1, 2, 3, 4]), data, config)]
    assert [row["length"] for row in rows if row["what"] == "block"] == [1, 2, 4, 4]
    caps = [(row["tokens"], row["share"], row["share at the cap"]) for row in rows if row["what"] == "cap"]
    assert caps == [(1.0, 0.25, 0.25), (1.75, 0.5, 0.5), (2.25, 0.5, 0.5), (2.75, 0.75, 0.75)]
    errors = {row["search"]: row["error"] for row in rows if row["what"] == "search"}
    assert errors == {"full": 0.0, "binned": 0.25, "binary": 0.0}  # 4 in place of 2, of four blocks
    constant = [
        {"what": "constant", "seed": 0, "threshold": 0.5, "length": length, "share": share, "worst": worst}
        for length, share, worst in ((2, 0.25, 0.9), (4, 1.0, 0.5))
    ]
    [row] = shares(rows + constant, (0.5,))
    assert row["adaptive"]["mean"] == 0.75 and row["tokens"]["mean"] == 2.75
    assert row["same model"]["mean"] == pytest.approx(0.5)
    assert row["constant"]["mean"] == pytest.approx(0.25 + 0.75 * 0.375)
    assert row["over same model"]["mean"] == pytest.approx(0.25)
    assert row["over constant"]["mean"] == pytest.approx(0.5 - 0.75 * 0.375)
    assert row["tokens of constant"]["mean"] == pytest.approx(2 + 2 * 0.5 / 0.75)
    assert row["tokens of constant, worst block"]["mean"] == pytest.approx(2 + 2 * 0.3 / 0.4)
    by_task = {row["task"]: row for row in levels(rows, (0.5,))}
    assert by_task["a"]["tokens"]["mean"] == 1.5 and by_task["b"]["met"]["mean"] == 0.5
    wanted = np.corrcoef([1, 2, 4, 4], [1, 2, 3, 9])[0, 1]
    assert by_task["all tasks"]["correlation"]["mean"] == pytest.approx(wanted)


def test_the_strength_of_edges_is_the_mean_sobel_gradient():
    flat = torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)
    ramp = torch.arange(8.0).div(7).mul(2).sub(1).expand(1, 3, 8, 8)
    assert float(edge_strength(flat)) == 0.0
    # eight times the slope of 1/7 inside, half of it at the two mirrored edges
    assert float(edge_strength(ramp)) == pytest.approx((6 * 8 + 2 * 4) / 7 / 8)
    both = edge_strength(torch.cat([ramp, torch.zeros_like(ramp), ramp.transpose(-1, -2)]))
    assert both.tolist() == pytest.approx([1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"thresholds": ()}, "thresholds is"),
        ({"lengths": (4, 4)}, "none twice"),
        ({"objective": "clip"}, "objective is 'clip'"),
        ({"objective": "perceptual:random"}, "has no default thresholds"),
        ({"held_out": 2}, "held_out is 2; expected at least the 4 blocks"),
        ({"bins": 1}, "bins is 1"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        Options(data=tmp_path, out=tmp_path, **options)
