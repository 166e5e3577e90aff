"""`flexlam study videogpt`: what the arms are, a run at the size `debug`, and claims over seeds."""

import json
from pathlib import Path

import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.over_seeds import Claim
from flexlam_rl.eval.studies.videogpt import arms_of
from flexlam_rl.models.videogpt.config import PRESETS
from tests.train.conftest import rollouts

__all__ = ["rollouts"]


def count(vqvae, **options) -> int:
    time = vqvae.frames // options.get("down_time", vqvae.down_time)
    side = vqvae.image_size // options.get("down_space", vqvae.down_space)
    return time * side * side * options.get("codebooks", 1)


@pytest.mark.parametrize("preset", ["tiny", "debug"])
def test_arms_that_are_compared_have_equally_many_codes(preset) -> None:
    own, arms = PRESETS[preset].vqvae, arms_of(PRESETS[preset])
    pairs = [("base", "codebooks-4"), ("base", "no-attention"), ("balanced", "space-heavy")]
    for first, second in pairs:
        assert count(own, **arms[first].vqvae) == count(own, **arms[second].vqvae)
    assert arms["space-heavy"].vqvae["down_time"] > arms["balanced"].vqvae["down_time"]
    assert arms["half-depth"].vqvae is None and arms["half-depth"].prior["depth"] < PRESETS[preset].prior.depth


def test_a_study_trains_measures_and_goes_on(rollouts, tmp_path: Path, capsys) -> None:
    out = tmp_path / "study"
    command = ["study", "videogpt", "--data", str(rollouts), "--out", str(out), "--preset", "debug", "--seeds", "1"]
    command += ["--vqvae-steps", "2", "--prior-steps", "2", "--clips", "4", "--extractor", "random"]
    assert main([*command, "--dry-run"]) == 0 and not out.exists()
    assert "7 of 7 jobs left" in capsys.readouterr().out
    assert main(command) == 0
    page = capsys.readouterr().out
    rows = {row["arm"]: row for row in json.loads((out / "results.json").read_text())}
    assert list(rows) == list(arms_of(PRESETS["debug"]))
    assert "bits_per_code" not in rows["no-attention"] and "nmse" not in rows["half-depth"]
    for arm in ("base", "half-depth", "balanced", "space-heavy", "codebooks-4"):
        assert rows[arm]["frechet-random"] > 0 and rows[arm]["bits_per_code"] > 0
    assert rows["base"]["rebuilt-frechet-random"] > 0
    assert "axial attention lowers the NMSE" in page and "fewer than three seeds" in page
    assert (out / "clips" / "base-0.png").exists() and (out / "clips" / "base-0.webp").exists()
    (out / "results" / "half-depth-0.json").unlink()
    assert main([*command, "--dry-run"]) == 0
    assert "1 of 7 jobs left" in capsys.readouterr().out
    assert main([*command, "--clips", "100000"]) != 0
    assert "clips is 100000; the test split has" in capsys.readouterr().err


def test_a_claim_is_found_only_where_its_interval_leaves_zero_out_on_the_expected_side() -> None:
    def rows(first, second):
        return [{"arm": arm, "seed": i, "x": x} for arm, xs in (("a", first), ("b", second)) for i, x in enumerate(xs)]

    lower = Claim("a is lower", "x", "a", "b", -1)
    assert lower.lines(rows([1.0, 1.1, 0.9], [2.0, 2.1, 2.0]))[0].endswith(": found")
    assert lower.lines(rows([2.0, 2.1, 2.0], [1.0, 1.1, 0.9]))[0].endswith(": not found")
    assert lower.lines(rows([1.0, 3.0, 2.0], [2.0, 2.1, 2.0]))[0].endswith(": not found")
    assert "not tested" in lower.lines(rows([1.0, 1.1], [2.0, 2.1]))[0]
    assert lower.lines(rows([1.0], [])) == []
