"""Agents trained on rewards from video: every arm trains and is measured, and the study goes on where it was."""

import json

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.viper import Options

LEVEL = "explore_goal_locations_small"


def test_arms_train_without_the_tasks_reward_and_are_measured_by_it(make_bundle_folder, tmp_path, monkeypatch):
    seen = []

    def short(recipe, world, out, report):
        batch = world.make([LEVEL] * 2)
        batch.reset(options={"reset_mask": np.ones(2, np.bool_), "episode_seeds": [2, 4]})
        world.begin()
        _, rewards, _, _, infos = batch.step(np.array([6, 6]))
        batch.close()
        seen.append((out.name, rewards.tolist(), infos))
        out.mkdir(parents=True)

    monkeypatch.setattr("flexlam_rl.agents.experts.pixel.training.train", short)
    returns = {"viper": 3.0, "beta0": 1.0, "random": 2.0}

    class Score:
        def __init__(self, mean):
            self.mean, self.returns = mean, (mean, mean)

    def played(level, settings, episodes, at_once):
        assert settings.expert == "random" or settings.expert.endswith("/last")
        arm = "random" if settings.expert == "random" else settings.expert.split("/")[-2].partition("-")[0]
        return Score(returns[arm] + settings.seed)

    monkeypatch.setattr("flexlam_rl.agents.experts.scores.measure", played)
    bundle = make_bundle_folder(tmp_path / "bundle")
    command = [
        "study",
        "viper",
        "--out",
        str(tmp_path / "out"),
        "--bundle",
        str(bundle),
        "--seeds",
        "2",
        "--steps",
        "9",
    ]
    assert main(command) == 0
    assert [name for name, _, _ in seen] == ["viper-0", "beta0-0", "viper-1", "beta0-1"]
    for name, rewards, infos in seen:
        bonus = infos.get("viper_bonus", [0.0, 0.0])
        assert ("viper_bonus" in infos) is name.startswith("viper")
        assert rewards == pytest.approx([log + new for log, new in zip(infos["viper_log_prob"], bonus, strict=True)])
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert sorted(row["mean"] for row in rows if row["arm"] == "viper") == [3.0, 4.0]
    assert "| viper | 2 | 3.50 |" in (tmp_path / "out" / "summary.md").read_text()
    assert main(command) == 0 and len(seen) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"arms": ("adversarial",)}, "needs data"),
        ({"beta": 0.0}, "beta is 0"),
        ({"arms": ()}, "arms is"),
        ({"steps": 0}, "steps"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        Options(out=tmp_path, **options)
