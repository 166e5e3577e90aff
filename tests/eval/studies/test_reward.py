"""Audit of video rewards: the figures are right, and the study plays, scores and reports."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.agents.environments import make_single
from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.rewards.density import Scores
from flexlam_rl.cli import main
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.studies.reward.figures import audit, auroc, heat_map, score_video
from flexlam_rl.eval.studies.reward.study import Options, settings
from flexlam_rl.eval.studies.reward.video import Video, record

MAZE = "explore_goal_locations_small"


class Brightness:
    """Scores the mean of a frame's first channel, in two codes."""

    figure = "brightness"

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def score(self, frames):
        value = frames[:, 0].float().mean(dim=(1, 2))
        return Scores(value, torch.stack([value, -value], dim=1))

    def advance(self, frames, begins):
        pass


def test_an_audit_ranks_episodes_and_steps():
    kinds = ("expert", "expert", "perturbed", "perturbed", "random", "random")
    levels = torch.tensor([90, 80, 85, 40, 20, 10])
    frames = levels[None, :, None, None, None].expand(4, 6, 3, 2, 2).to(torch.uint8)
    begins = torch.zeros(4, 6, dtype=torch.bool)
    begins[0] = begins[2, 0] = True
    video = Video(frames, begins, np.array([9.0, 8.0, 7.0, 3.0, 2.0, 1.0]), kinds)
    scored = score_video(Brightness(6), video)
    assert np.isnan(scored.totals[1, 0]) and np.isfinite(np.delete(scored.totals.ravel(), 6)).all()
    figures = audit(scored, video)
    assert figures["auroc_random"] == 1.0 and figures["auroc_perturbed"] == 0.75
    assert figures["score_expert"] == 85.0
    assert figures["rank"] == pytest.approx(1 - 6 * 2 / (6 * 35))  # two neighbors change places
    assert scored.codes["random"].tolist() == [15.0, -15.0] and "above_repeated" not in figures
    kinds = (*kinds[:2], "repeated", "repeated", *kinds[4:])
    figures = audit(score_video(Brightness(6), replace(video, kinds=kinds)), replace(video, kinds=kinds))
    assert figures["above_repeated"] == 85.0 - 85.0  # the brighter of 85 and 40, not their mean
    assert heat_map(scored.codes["random"]).tolist() == [[255, 0]]


def test_auroc_counts_ties_half():
    assert auroc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == (0.5 + 1 + 1 + 1) / 4


def test_repeated_actions_are_played_once_each_from_the_first_episode():
    spec = find_domain("dmlab").resolve(EnvSpec(engine="litelab"))
    video = record(MAZE, spec, 2, 6, "reactive", 0.5, 0, ("random", "repeated"))
    count = make_single(spec, MAZE).action_space.n
    assert video.kinds == ("random",) * 2 + ("repeated",) * count
    firsts = video.frames[0]
    assert all(torch.equal(firsts[0], first) for first in firsts[2:]) and not torch.equal(firsts[0], firsts[1])
    lasts = {video.frames[-1, i].numpy().tobytes() for i in range(2, 2 + count)}
    assert len(lasts) > count // 2


def test_the_study_scores_four_kinds_of_video_and_goes_on_where_it_was(make_bundle_folder, tmp_path, capsys):
    bundle = make_bundle_folder(tmp_path / "bundle", frame_skip=30)
    command = [
        "study", "reward", "--out", str(tmp_path / "audit"), "--bundle", str(bundle), "--levels", MAZE,
        "--episodes", "2", "--steps", "4", "--budgets", "1", "4", "--windows", "2", "--expert", "reactive",
    ]  # fmt: skip
    assert main(command) == 0
    rows = json.loads((tmp_path / "audit" / "results.json").read_text())
    assert [row["density"] for row in rows] == ["flexlam K=1 window=2", "flexlam K=4 window=2"]
    assert all(0 <= row[f"auroc_{kind}"] <= 1 for row in rows for kind in ("random", "perturbed"))
    # the score is the sum of its codes, and the first code of four is the one code of one
    one, four = rows
    assert four["score_expert"] == pytest.approx(sum(four["codes"]["expert"]), abs=0.01)
    assert four["codes"]["random"][0] == pytest.approx(one["codes"]["random"][0], abs=1e-3)
    assert len(list((tmp_path / "audit" / "maps").glob("*.png"))) == 2
    result = tmp_path / "audit" / "results" / f"{MAZE}.json"
    written = result.stat().st_mtime_ns
    assert main(command) == 0 and result.stat().st_mtime_ns == written
    said = capsys.readouterr().out
    assert "expert over random" in said and "above repeated" in said


def test_a_recurrent_prior_scores_with_the_whole_episode(make_bundle_folder, tmp_path):
    bundle = load_bundle(make_bundle_folder(tmp_path / "bundle", prior="recurrent"))
    found = settings(Options(out=tmp_path, budgets=(1, 4), windows=(2, 4)), bundle, {})
    assert list(found) == ["flexlam K=1 window=episode", "flexlam K=4 window=episode"]
    density = found["flexlam K=1 window=episode"](2, MAZE)
    frames = torch.randint(256, (3, 2, 3, 64, 64), dtype=torch.uint8)
    for t in range(2):
        density.advance(frames[t], torch.full((2,), t == 0))
    assert bool(density.score(frames[2]).total.isfinite().all())


@pytest.mark.parametrize(
    ("options", "said"),
    [({"windows": (1,)}, "windows is"), ({"flexlam": False}, "nothing to score with"), ({"steps": 1}, "steps")],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        Options(out=tmp_path, **options)
