"""The benchmark runs and reports what its readers look for; its speeds are no matter for a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_report_of_a_short_run(tmp_path: Path) -> None:
    pytest.importorskip("minari")
    pytest.importorskip("h5py")
    out = tmp_path / "result.json"
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "loader.py"),
        "--frames",
        "600",
        "--seconds",
        "0.02",
        "--json",
        str(out),
    ]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["frames"] == 600
    for way in ("store", "raw_cache", "minari", "minari_lossless", "hdf5", "memmap"):
        assert result[way]["pairs_per_s"] > 0 and result[way]["windows_per_s"] > 0, way
        assert result[way]["pairs_per_cpu_s"] > 0 and result[way]["windows_per_cpu_s"] > 0, way
    assert result["memmap"]["bytes_per_frame"] == 12_288
    assert result["store"]["bytes_per_frame"] < 12_288 < result["minari_lossless"]["bytes_per_frame"] + 1_000
