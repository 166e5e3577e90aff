"""The benchmark prints and writes what it says, at debug size."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_keys_and_shares(tmp_path):
    out = tmp_path / "out.json"
    command = [sys.executable, str(ROOT / "benchmarks/suite_throughput.py"), "--preset", "debug", "--steps", "3"]
    command += ["--batches", "1,3", "--budgets", "1,4", "--json", str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert {k: set(v) for k, v in record["decisions_per_s"].items()} == {"1": {"1", "3"}, "4": {"1", "3"}}
    assert all(value > 0 for row in record["decisions_per_s"].values() for value in row.values())
    for row in record["shares"].values():
        for parts in row.values():
            assert set(parts) == {"environments", "encoder", "sequence_model", "translator"}
            assert 0.5 < sum(parts.values()) <= 1.01
    wrong = subprocess.run(
        [*command, "--budgets", "9"],
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert wrong.returncode == 1
    assert wrong.stderr.strip().splitlines() == ["suite_throughput: budget is 9; expected 1..4."]
