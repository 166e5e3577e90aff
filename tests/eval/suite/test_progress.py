"""What a suite says while it plays, over episodes of their true length."""

import re

from flexlam_rl.cli import main


def test_lines_tell_how_far_it_is_where_there_is_no_terminal(tmp_path, capsys, monkeypatch):
    for name in ("EVERY", "RATE"):
        monkeypatch.setattr(f"flexlam_rl.eval.suite.progress.{name}", 0.0)
    given = ["--policy", "random", "--episodes", "1", "--no-plots", "--levels", "rooms_exploit_deferred_effects_train"]
    assert main(["suite", "--out", str(tmp_path / "run"), *given]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("suite:")]
    assert len(lines) > 100
    assert lines.pop(0) == "suite: 0/1 episodes, starting"
    assert lines.pop(0) == "suite: 0/1 episodes, 0 % of the steps"  # one step tells nothing of the time yet
    shares = [
        int(re.fullmatch(r"suite: 0/1 episodes, (\d+) % of the steps, about \d+\.\d min left", line)[1])
        for line in lines
    ]
    assert shares == sorted(shares)
    assert shares[0] < 5 and shares[-1] > 50
