"""From video of ViZDoom to a policy that the suite plays, at debug size; docs/vizdoom.md does it at a working size."""

import json
from pathlib import Path

import pytest

from flexlam_rl.agents.policy.bundle import read_config
from flexlam_rl.cli import main
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.utils.command_line import WRONG_USE

pytest.importorskip("vizdoom", reason="the extra `vizdoom` is not installed")


def test_from_video_to_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run, policy = (str(tmp_path / name) for name in ("doom", "run", "policy"))
    tasks = ["--domain", "vizdoom", "--tasks", "defend_the_center", "basic"]
    for split, steps in (("train", "200"), ("test", "60")):
        assert main(["collect", *tasks, "--steps", steps, "--split", split, "--out", data, "--num-envs", "1"]) == 0
    options = ["--preset", "debug", "--steps", "6", "--label-count", "100", "--conditioning", "slots"]
    assert main(["train", *options, "--data", data, "--out", run]) == 0
    assert main(["bundle", run, "-o", policy, "--data", data]) == 0
    assert read_config(tmp_path / "policy").environment.spec == find_domain("vizdoom").defaults()
    suite = ["suite", "--checkpoint", policy, "--episodes", "2", "--no-plots"]
    assert main([*suite, *tasks, "--budget", "1,4", "--out", str(tmp_path / "suite"), "--num-envs", "4"]) == 0
    record = json.loads((tmp_path / "suite" / "results.json").read_bytes())
    assert record["scene"]["domain"] == "vizdoom" and len(record["episodes"]) == 8
    assert all("minus_random" in summary["levels"]["basic"] for summary in record["summary"].values())
    capsys.readouterr()
    assert main([*suite, "--out", str(tmp_path / "other")]) == WRONG_USE
    assert "trained in the domain 'vizdoom', and the suite plays 'dmlab'" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
