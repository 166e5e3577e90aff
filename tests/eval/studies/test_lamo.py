"""The study of LaMo at the smallest size: every arm trains and is rolled out, and it goes on where it was."""

import json

import pytest
from PIL import Image

from flexlam_rl.cli import main
from flexlam_rl.datasets import open_rollouts
from flexlam_rl.eval.studies.lamo.report import _claims
from flexlam_rl.eval.studies.lamo.study import Options
from flexlam_rl.eval.video.curves import compare_frames
from flexlam_rl.train.clips import held_out_clips, spread_windows
from tests.train.conftest import rollouts

__all__ = ["rollouts"]


def test_every_arm_trains_and_is_measured_and_finished_jobs_are_not_done_again(rollouts, tmp_path, capsys, monkeypatch):
    command = [
        "study", "lamo", "--data", str(rollouts), "--out", str(tmp_path / "out"), "--preset", "debug", "--seeds", "1",
        "--horizons", "1", "2", "--steps", "2", "4", "--clips", "6", "--extractor", "random",
        "--midway-steps", "5", "--decoder-steps", "4", "--lamo-steps", "3",
    ]  # fmt: skip
    assert main([*command, "--dry-run"]) == 0
    assert "6 of 6 jobs left" in capsys.readouterr().out and not (tmp_path / "out").exists()
    assert main(command) == 0
    rows = json.loads((tmp_path / "out/results.json").read_text())
    kinds = [(row["arm"], row.get("steps"), row.get("horizon")) for row in rows]
    flows = [("flow", steps, horizon) for steps in (2, 4) for horizon in (1, 2)]
    others = [(arm, steps, horizon) for arm, steps in (("mixture", None), ("state", 4)) for horizon in (1, 2)]
    repeated = [("repeat", None, 1), ("repeat", None, 2)]
    assert kinds == [*repeated, ("midway", None, None), ("decoder", None, None), *flows, *others]
    assert all(row["psnr"] > 0 and row["frechet-random"] > 0 for row in rows[4:])
    windows = spread_windows(open_rollouts(rollouts, split="test"), 6, 1)  # four frames of context, two of the future
    clips = held_out_clips(windows, 1, 6)["frames"]
    for row, horizon in zip(rows[:2], (1, 2), strict=True):
        expected = compare_frames(clips[:, 3 + horizon, None], clips[:, 3, None])
        assert row["psnr"] == pytest.approx(float(expected["psnr"].mean())) and row["frechet-random"] > 0
    trained = {"seed-0/midway": 5, "seed-0/lamo_decoder": 4, "flow-0/lamo": 3, "state-0/lamo": 3}
    for run, steps in trained.items():
        assert json.loads((tmp_path / "out/runs" / run / "config.json").read_text())["loop"]["steps"] == steps
    with Image.open(tmp_path / "out/clips/mixture-0.webp") as film:  # four frames of context and two of the future
        assert film.n_frames == 6 and film.width > 2 * film.height
    page = (tmp_path / "out/summary.md").read_text()
    assert (
        "| last frame repeated |  |" in page
        and "| mixture | 1 |" in page
        and "not tested, fewer than three seeds" in page
        and "Midway, seed 0" in page
    )
    monkeypatch.setattr("flexlam_rl.train.run_stage.train_stage", lambda *given: pytest.fail("trained again"))
    assert main(command) == 0 and (tmp_path / "out/summary.md").read_text() == page


def test_a_claim_is_found_where_its_interval_is_on_the_right_side():
    options = Options(data=".", out=".", extractor="random", horizons=(1,), steps=(20, 50))

    def rows(better: float, spread: float):
        own = {"horizon": 1, "frechet-random": 1.0}
        return [
            {"arm": arm, "seed": seed, "steps": 50, **own, "psnr": 20 + (better + spread * seed) * (arm == "flow")}
            for seed in range(3)
            for arm in ("flow", "state")
        ]

    assert _claims(rows(1.0, 0.01), options)[0].endswith("(95 % 0.985 to 1.035, 3 seeds): found")
    assert _claims(rows(1.0, 5.0), options)[0].endswith(": not found")
    assert _claims(rows(-1.0, 0.01), options)[0].endswith(": not found")
    assert _claims(rows(1.0, 0.01)[:4], options)[0].endswith("fewer than three seeds")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"horizons": (3, 1)}, "horizons is"),
        ({"steps": ()}, "steps is"),
        ({"seeds": 0}, "seeds"),
        ({"lamo_steps": 0}, "lamo_steps"),
        ({"clips": 1}, "clips"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        Options(data=tmp_path, out=tmp_path, **options)
