"""The fine-tuning example runs in both spaces, draws both curves, and continues."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import runpy, sys, pytest
from tests.eval.conftest import shorten_episodes
shorten_episodes(pytest.MonkeyPatch())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_both_curves(bundle_folder, tmp_path):
    pytest.importorskip("stable_baselines3")
    command = [
        sys.executable,
        "-c",
        CODE,
        str(ROOT / "examples/ppo_latent_space.py"),
        "--out",
        str(tmp_path / "out"),
        "--checkpoint",
        str(bundle_folder),
    ]
    command += [
        "--level",
        "rooms_exploit_deferred_effects_train",
        "--steps",
        "128",
        "--num-envs",
        "4",
        "--rollout",
        "32",
        "--seeds",
        "1",
    ]
    command += ["--evaluations", "1", "--episodes", "2", "--budget", "2"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)
    assert done.returncode == 0, done.stderr
    runs = json.loads((tmp_path / "out/curves.json").read_text())["runs"]
    assert list(runs) == ["native-0", "latent-0"]
    assert all(row[0] == steps for run in runs.values() for row, steps in zip(run, (4, 128, 128), strict=False))
    assert (tmp_path / "out/curves.png").stat().st_size > 1000
    again = subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)
    assert again.returncode == 0
    assert "seed 0" not in again.stdout  # nothing is trained twice
