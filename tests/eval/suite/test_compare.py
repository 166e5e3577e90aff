"""Suites side by side: what the intervals support, and what is never compared."""

import json
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.suite.batches import Job, Played
from flexlam_rl.eval.suite.results import Folder
from flexlam_rl.eval.suite.table import by_column, summarise
from flexlam_rl.utils.command_line import WRONG_USE

LEVELS = ("rooms_watermaze", "explore_goal_locations_small")
SCENE = {
    "engine": "litelab",
    "textures": "procedural",
    "hud": "full",
    "action_set": "dreamer15",
    "action_hash": "x",
    "frame_skip": 4,
    "width": 64,
    "height": 64,
}


def write(folder: Path, shift: float, budgets=(0,), episodes: int = 20, seed: int = 0, **scene) -> Path:
    """A finished run whose returns are noise about 30, the same for equal seeds, plus `shift` and the budget."""
    opened = Folder(folder, {"policy": "some", "scene": {**SCENE, **scene}, "seed": seed})
    jobs = [Job(level, k, i, 1000 * seed + i) for k in budgets for level in LEVELS for i in range(episodes)]
    for job in jobs:
        noise = np.random.default_rng([job.seed, len(job.level)]).normal(30, 10)
        opened.add(Played(job, float(noise + shift + job.budget), 100, 1.0, 1))
    rows = [
        {"level": j.level, "budget": j.budget, "return": opened.played[j.level, j.budget, j.number].total} for j in jobs
    ]
    opened.finish(
        jobs, {name: summarise(returns, "litelab") for name, returns in by_column(rows, "some").items()}, {}, {}
    )
    opened.close()
    return folder


def verdicts(capsys, *arguments: str) -> dict[str, str]:
    assert main(["compare", *arguments]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    return {line.split()[0]: line for line in said.splitlines() if "[" in line}


def test_a_paired_difference_is_found_and_none_is_not(tmp_path, capsys):
    base, better, same = write(tmp_path / "a", 0), write(tmp_path / "b", 1.0), write(tmp_path / "c", 0.0, seed=5)
    found = verdicts(capsys, str(base), str(better), "--out", str(tmp_path / "out.json"))
    assert all("second higher" in line for line in found.values())
    assert set(LEVELS) <= set(found)
    assert all("first higher" in line for line in verdicts(capsys, str(better), str(base)).values())
    assert all("not told apart" in line for line in verdicts(capsys, str(base), str(same)).values())
    record = json.loads((tmp_path / "out.json").read_text())
    gap = record["rows"][0]["difference"]
    assert gap["value"] == pytest.approx(1.0)
    assert gap["low"] == pytest.approx(1.0)
    assert [row["name"] for row in record["rows"][2:]] == [
        "interquartile mean, normalised",
        "mean of levels, normalised",
        "interquartile mean, normalised, minus random",
        "mean of levels, normalised, minus random",
    ]


@pytest.mark.parametrize("episodes", [1, 4, 19])
def test_few_episodes_bring_no_verdict(episodes, tmp_path, capsys):
    pair = [str(write(tmp_path / name, shift, episodes=episodes)) for name, shift in (("a", 0), ("b", 1))]
    assert main(["compare", *pair]) == 0
    said = capsys.readouterr().out
    assert "higher" not in said
    assert said.count("too few for a claim") == 6


def test_budgets_of_one_run_are_compared(tmp_path, capsys):
    run = write(tmp_path / "a", 0, budgets=(1, 4))
    found = verdicts(capsys, str(run), str(run))
    assert "+3.00" in found["rooms_watermaze"]
    assert "+0.00" in verdicts(capsys, str(run), str(run), "--second-column", "some@1")["rooms_watermaze"]


@pytest.mark.parametrize(
    "scene", [{"engine": "deepmind_lab"}, {"frame_skip": 8}, {"action_hash": "y"}, {"textures": "labmaze"}]
)
def test_what_differs_in_engine_or_settings_is_refused(scene, tmp_path, capsys):
    pair = [str(write(tmp_path / "a", 0)), str(write(tmp_path / "b", 0, **scene))]
    assert main(["compare", *pair]) == WRONG_USE
    assert "not compared" in capsys.readouterr().err
    assert main(["compare", *pair, "--any-look"]) == (0 if "textures" in scene else WRONG_USE)


def test_wrong_use(tmp_path, capsys):
    run = write(tmp_path / "a", 0)
    for arguments, words in (
        ([str(run), str(tmp_path / "none")], "no finished suite"),
        ([str(run), str(run), "--first-column", "other"], "no column 'other'"),
    ):
        assert main(["compare", *arguments]) == WRONG_USE
        said = capsys.readouterr().err
        assert words in said and len(said.strip().splitlines()) == 1
