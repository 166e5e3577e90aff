"""The benchmark runs and reports what its readers look for; its speeds are no matter for a test."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_report_of_one_short_turn(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    script = ROOT / "benchmarks" / "env_throughput.py"
    options = ["--levels", "rooms_watermaze", "--rounds", "1", "--seconds", "0.05", "--no-peers", "--json", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script), *options], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    for key in ("single_steps_per_s", "batch_steps_per_s_per_core", "reset_ms_median", "mib_per_env", "first_step_s"):
        assert math.isfinite(result[key]), key
        assert result[key] > 0, key
    assert result["peers"] == {}
    assert set(result["levels"]) == {"rooms_watermaze", "all levels mixed"}
    assert "| rooms_watermaze |" in done.stdout
