"""Priors beside each other in closed loop, at the smallest size."""

import json

import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.priors import Options, jobs_of
from tests.eval.conftest import write_rollouts

SHORT = "rooms_exploit_deferred_effects_train"


@pytest.mark.usefixtures("short_episodes")
def test_a_prior_is_trained_played_and_timed_beside_others(tmp_path, capsys):
    data = write_rollouts(tmp_path / "data", levels=(SHORT,), engine="litelab", textures="procedural")
    command = [
        "study", "priors", "--data", str(data), "--out", str(tmp_path / "out"), "--preset", "debug", "--seeds", "1",
        "--budget", "2", "--episodes", "1", "--tasks", SHORT, "--steps", "2", "--label-count", "30", "--bottlenecks",
        "fsq", "--priors", "mixture",
    ]  # fmt: skip
    assert main([*command, "--dry-run"]) == 0
    assert "2 of 2 jobs left" in capsys.readouterr().out and not (tmp_path / "out").exists()
    assert main(command) == 0
    first, second = json.loads((tmp_path / "out/results.json").read_text())
    assert first["prior"] is None and second["prior"] == "mixture" and second["ms"] > 0 and second["seconds"] > 0
    assert set(second["returns"]) == {SHORT} and "| codes | mixture | 1 |" in (tmp_path / "out/summary.md").read_text()
    before = (tmp_path / "out/results.json").read_bytes()
    assert main(command) == 0 and (tmp_path / "out/results.json").read_bytes() == before


def test_numbers_take_continuous_priors_alone_and_options_are_checked(tmp_path):
    names = [job.name for job in jobs_of(Options(data=tmp_path, out=tmp_path, seeds=1))]
    assert names == [
        "fsq-0", "fsq-0-interleaved", "fsq-0-factored", "fsq-0-recurrent", "fsq-0-continuous", "fsq-0-mixture",
        "gaussian-0", "gaussian-0-continuous", "gaussian-0-mixture",
    ]  # fmt: skip
    for options, said in (
        ({"priors": ("factored",), "bottlenecks": ("gaussian",)}, "need one of continuous, mixture"),
        ({"priors": ()}, "priors is"),
        ({"budget": 0}, "budget"),
    ):
        with pytest.raises(ValueError, match=said):
            Options(data=tmp_path, out=tmp_path, **options)
