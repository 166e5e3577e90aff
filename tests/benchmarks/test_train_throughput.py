"""The benchmark runs and reports what its readers look for; its speeds are no matter for a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_report_of_a_short_run(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "train_throughput.py"),
        "--preset",
        "debug",
        "--steps",
        "6",
        "--json",
        str(out),
    ]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    for key in ("ours_per_s", "eager_per_s", "sequence_tokens_per_s", "sequence_eager_tokens_per_s"):
        assert result[key] > 0
    # no step does more arithmetic than the machine can
    assert 0 < result["mfu"] < 1 and 0 < result["eager_mfu"] < 1
    assert result["mfu"] == pytest.approx(result["ours_per_s"] * result["flops_per_transition"] / result["peak_flops"])
    assert "| transitions/s |" in done.stdout
