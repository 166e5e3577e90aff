"""The benchmark runs and reports what its readers look for; its speeds are no matter for a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_report_of_one_short_collection(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "collect.py"),
        "--steps",
        "900",
        "--rounds",
        "1",
        "--json",
        str(out),
    ]
    levels = ["--levels", "rooms_exploit_deferred_effects_train", "--out", str(tmp_path / "data")]
    done = subprocess.run(
        [*command, *levels], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["agent_steps_per_s_per_core"] > 0
    assert result["agent_steps_per_cpu_s"] > 0
    assert 500 < result["bytes_per_frame"] < 12_288
    assert "| rooms_exploit_deferred_effects_train |" in done.stdout
    assert not list((tmp_path / "data").iterdir())  # nothing is left behind
