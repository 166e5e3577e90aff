"""Continuous actions through a LeRobot dataset to a policy that the suite plays, at debug size; the page
docs/continuous-actions.md does it at a working size.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.policy.bundle import read_config
from flexlam_rl.cli import main
from flexlam_rl.datasets import open_rollouts
from flexlam_rl.utils.command_line import WRONG_USE

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DOMAIN = ["--domain", "gymnasium:pendulum_close:PendulumClose-v0"]
TASK = "pendulum_close-PendulumClose-v0"


def test_from_a_lerobot_dataset_to_a_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    swings, robot, data, run, policy = (str(tmp_path / name) for name in ("swings", "robot", "data", "run", "policy"))
    for split, steps in (("train", "600"), ("test", "200")):
        played = ["--expert", "pendulum_close:Expert", "--steps", steps, "--split", split, "--num-envs", "2"]
        assert main(["collect", *DOMAIN, *played, "--width", "32", "--height", "32", "--out", swings]) == 0
        assert main(["data", "export", "lerobot", swings, "--split", split, "--out", robot]) == 0
        assert main(["data", "import", "lerobot", f"{robot}/{TASK}-{split}", "--out", data]) == 0
    collected, imported = (open_rollouts(folder, split="train").stores[0] for folder in (swings, data))
    taken = collected.action[:][np.isfinite(collected.action[:]).all(1)]
    np.testing.assert_array_equal(imported.action[:], taken)
    options = ["--preset", "debug", "--steps", "6", "--label-count", "100", "--conditioning", "slots+action+frame"]
    assert main(["train", *options, "--data", data, "--out", run]) == 0
    assert main(["bundle", run, "-o", policy, "--data", data]) == 0
    spec = read_config(tmp_path / "policy").environment.spec
    assert (spec.domain, spec.width) == (DOMAIN[1], 32)
    capsys.readouterr()
    suite = ["suite", *DOMAIN, "--checkpoint", policy, "--episodes", "2", "--no-plots"]
    assert main([*suite, "--budget", "1,4", "--out", str(tmp_path / "four")]) == 0
    assert main([*suite, "--policy", "random", "--out", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.count(TASK) >= 2
    shown = json.loads((tmp_path / "none" / "results.json").read_bytes())["scene"]
    assert (shown["domain"], shown["width"]) == (DOMAIN[1], 32)  # as the bundle, not as the domain's own
    assert main(["compare", str(tmp_path / "none"), str(tmp_path / "four"), "--second-column", "FlexLAM@4"]) == 0
    assert main([*suite, "--policy", "previous-action", "--out", str(tmp_path / "habit")]) == WRONG_USE
    assert "expected Discrete" in capsys.readouterr().err
    for study in (["ablations", run, "--budgets", "1"], ["alignment", "--labels", "standard", "--budgets", "1"]):
        assert main(["study", *study, "--data", data, "--out", str(tmp_path / "study")]) == WRONG_USE
        assert "expected discrete ones" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
