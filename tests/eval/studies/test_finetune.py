"""The study of policies improved by reward: every arm trains as asked for, is measured, and the table is of these."""

import json

from flexlam_rl.cli import main

LEVEL = "explore_goal_locations_small"
RETURNS = {"prior": 5.0, "latent-space": 3.0, "native": 1.0}


def test_every_arm_trains_at_its_budgets_and_is_measured_by_its_best_policy(
    make_bundle_folder, tmp_path, monkeypatch, capsys
):
    trained, played = [], []

    def make_run(plan, bundle, out):
        trained.append((plan.what, plan.budget, plan.seed, plan.anchor))
        out.mkdir(parents=True)
        rows = [{"step": s, "part": "eval", f"return/{LEVEL}": s / 10 + plan.seed, "score": 1.0} for s in (10, 20)]
        rows.insert(1, {"step": 10, "part": "train", "policy": 0.1})
        (out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    class Score:
        def __init__(self, mean):
            self.mean, self.returns = mean, (mean, mean)

    def measure(level, settings, episodes, at_once):
        kind, _, rest = settings.expert.partition(":")
        arm = {"bundle": "prior", "latent": "latent-space", "pixel": "native"}[kind]
        assert "/best" in rest and rest.endswith(("@1", "@2")) is (arm == "prior")
        played.append(arm)
        return Score(RETURNS[arm] + settings.seed)

    monkeypatch.setattr("flexlam_rl.agents.finetune.plan.make_run", make_run)
    monkeypatch.setattr("flexlam_rl.agents.experts.pixel.running.drive", lambda run, report: None)
    monkeypatch.setattr("flexlam_rl.agents.experts.scores.measure", measure)
    command = ["study", "finetune", "--out", str(tmp_path / "out"), "--levels", LEVEL, "--seeds", "2", "--steps", "20"]
    command += ["--arms", "prior", "latent-space", "native", "--budgets", "1", "2", "--anchor", "0.5"]
    command += ["--bundle", str(make_bundle_folder(tmp_path / "bundle"))]
    assert main([*command, "--dry-run"]) == 0
    assert "10 of 10 jobs left" in capsys.readouterr().out and not (tmp_path / "out").exists()
    assert main(command) == 0
    first = [("prior", 1, 0, 0.5), ("prior", 2, 0, 0.5), ("latent-space", 1, 0, 0.0), ("latent-space", 2, 0, 0.0)]
    assert trained[:5] == [*first, ("native", 1, 0, 0.0)] and len(trained) == len(played) == 10
    rows = json.loads((tmp_path / "out/results.json").read_text())
    assert [row["curve"] for row in rows if row["kind"] == "native"] == [[[10, 1.0], [20, 2.0]], [[10, 2.0], [20, 3.0]]]
    summary = (tmp_path / "out/summary.md").read_text()
    assert f"| {LEVEL} | prior@2 | 2 | 5.50 |" in summary and f"| {LEVEL} | native | 2 | 1.50 |" in summary
    assert main(command) == 0 and len(trained) == 10
    assert main([*command, "--seeds", "3"]) == 0 and len(trained) == 15  # a folder can be given more trainings
    assert main([*command, "--steps", "30"]) == 2 and "steps" in capsys.readouterr().err
    for more, words in ((["--budgets", "9"], "budget is 9"), (["--levels", "nowhere"], "nowhere")):
        assert main([*command[:2], "--out", str(tmp_path / "other"), *command[-2:], *more]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
