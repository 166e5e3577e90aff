"""The paper's other tables on debug-size models: latency, budgets, prefix sweep, transfer."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.eval import latency
from flexlam_rl.eval.lam import prefix_sweep, transfer
from flexlam_rl.eval.lam.transitions import expert_transitions
from flexlam_rl.eval.studies import budgets
from flexlam_rl.eval.suite import command as suite
from flexlam_rl.utils.command_line import WRONG_USE
from flexlam_rl.utils.command_line import run as run_command

LEVEL = "explore_goal_locations_small"
SHORT = "rooms_exploit_deferred_effects_train"


def command(module, *arguments: str) -> int:
    return run_command(module.Options, module.run, list(arguments), module.__name__)


def test_latency_times_every_budget(bundle_folder, tmp_path, capsys):
    out = tmp_path / "latency.json"
    assert command(latency, "--checkpoint", str(bundle_folder), "--steps", "30", "-o", str(out)) == 0
    record = json.loads(out.read_text())
    assert list(record["milliseconds"]) == ["1", "4"]
    for row in record["milliseconds"].values():
        assert 0 < sum(row["parts"].values()) <= row["mean"] * 1.01
    assert record["milliseconds"]["4"]["parts"]["generate"] > record["milliseconds"]["1"]["parts"]["generate"]
    assert record["machine"] and record["checkpoint"]
    assert command(latency, "--checkpoint", str(bundle_folder), "--budgets", "1,9") == WRONG_USE
    assert "budget is 9" in capsys.readouterr().err


def test_transitions_are_the_experts_and_cross_no_restart(bundle_folder):
    facts = load_bundle(bundle_folder).config.environment
    found = expert_transitions(facts, LEVEL, 500)
    again = expert_transitions(facts, LEVEL, 500)
    assert torch.equal(found.obs, again.obs)
    assert found.obs.shape == (500, 3, 64, 64) == found.next_obs.shape
    assert found.obs.dtype == torch.uint8
    # looking left and right moves the picture: frames differ, and consecutive ones are alike but for restarts
    change = (found.obs.float() - found.next_obs.float()).abs().mean((1, 2, 3))
    assert change.median() > 1
    assert len(found.action.unique()) > 3


def test_prefix_sweep_draws_and_measures(bundle_folder, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    given = ["--checkpoint", str(bundle_folder), "--levels", LEVEL, "--count", "2", "--measured", "8", "--steps", "2"]
    assert command(prefix_sweep, "-o", str(out), *given) == 0
    assert np.asarray(Image.open(out)).std() > 5
    figures = json.loads(out.with_suffix(".json").read_text())["psnr_db"]
    assert list(figures) == ["still", "K = 0", "K = 1", "K = 2", "K = 4"]
    assert command(prefix_sweep, "-o", str(tmp_path / "sheet.gif"), *given) == WRONG_USE
    assert "must end in .png" in capsys.readouterr().err


def test_transfer_command(bundle_folder, tmp_path, capsys):
    out = tmp_path / "transfer.png"
    assert command(transfer, "-o", str(out), "--checkpoint", str(bundle_folder), "--count", "8", "--steps", "1") == 0
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["budget"] == 4 and record["transitions"] == 8
    assert out.stat().st_size > 1000
    assert command(transfer, "-o", str(out), "--checkpoint", str(bundle_folder), "--budget", "5") == WRONG_USE
    assert "budget is 5" in capsys.readouterr().err


@pytest.mark.usefixtures("short_episodes")
def test_budgets_join_returns_and_milliseconds(bundle_folder, make_bundle_folder, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "out"
    given = ["--checkpoint", str(bundle_folder)]
    assert (
        command(suite, "--out", str(run), "--episodes", "2", "--levels", SHORT, "--budget", "1,4", "--no-plots", *given)
        == 0
    )
    assert command(budgets, str(run), "-o", str(out), "--steps", "5", *given) == 0
    rows = list(csv.DictReader((out / "budgets.csv").open()))
    assert [row["budget"] for row in rows] == ["1", "4"]
    summary = json.loads((run / "results.json").read_text())["summary"]
    for key in ("iqm", "mean"):
        assert float(rows[1][key]) == pytest.approx(summary["FlexLAM@4"][key]["value"])
    assert float(rows[0]["milliseconds"]) > 0
    other = make_bundle_folder(tmp_path / "other", seed=1)
    assert command(budgets, str(run), "-o", str(out), "--checkpoint", str(other)) == WRONG_USE
    assert "was played by the checkpoint" in capsys.readouterr().err


MODULES = ("latency", "lam.prefix_sweep", "lam.transfer", "studies.budgets", "suite.card", "suite.compare", "transfer")
FORKED = """
import os, runpy, sys
import torch, tyro  # which take the time, so that each module's own process need not
for name in sys.argv[1:]:
    print("module", name, flush=True)
    child = os.fork()
    if not child:
        sys.argv = [name, "--help"]
        runpy.run_module(f"eval.{name}", run_name="__main__", alter_sys=True)
        sys.exit()
    print("code", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_modules_run_from_a_checkout():
    """Also under the names that they had in version 0.1, without their folder."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FORKED, *MODULES], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    said = dict(part.split("\n", 1) for part in done.stdout.split("module ")[1:])
    assert tuple(said) == MODULES, done.stderr
    for name, text in said.items():
        assert text.endswith("code 0\n"), (name, done.stderr)
        assert "usage: " in text and name.rpartition(".")[2] in text


def test_per_cent_of_the_expert_whose_video_was_learned_from() -> None:
    from flexlam_rl.envs.domains.dmlab.returns import find_reference
    from flexlam_rl.eval.suite.table import of_video, summarise

    level = "explore_goal_locations_small"
    reactive, scripted = (find_reference(level, "litelab", name) for name in ("reactive", "expert"))
    assert reactive.mean < scripted.mean and reactive.random == scripted.random
    returns = {level: np.array([reactive.mean, reactive.mean])}
    own, other = of_video(returns, "litelab", "reactive"), of_video(returns, "litelab", "scripted")
    assert own is not None and other is not None
    assert own["mean"]["value"] == own["iqm_minus_random"]["value"] == pytest.approx(100.0)
    # a weaker teacher makes no number of the table larger
    assert summarise(returns, "litelab")["mean"]["value"] == pytest.approx(other["mean"]["value"])
    assert other["mean"]["value"] < 50
    assert of_video(returns, "litelab", "pixel:somewhere") is None
    assert of_video(returns | {"unknown": np.ones(2)}, "litelab", "reactive") is None
