"""The command for a GPU, rehearsed on the CPU: every part runs, what it brings back is small, and it goes on."""

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("latency", "throughput", "collect", "train", "suite", "seeds")
MISSING = ("stable_baselines3", "sb3_contrib", "zarr", "minari", "labmaze", "torchrl", "tensordict", "tianshou", "ray")
BLOCKED = f"""
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {MISSING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
runpy.run_module("benchmarks.one_gpu", run_name="__main__", alter_sys=True)
"""


def command(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as on a machine that lacks packages."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *options], cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """Folders of a finished rehearsal."""
    folder = tmp_path_factory.mktemp("one-gpu")
    options = ("--rehearse", "--minutes", "6", "--out", str(folder / "out"), "--work", str(folder / "work"))
    done = command(*options)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, options


def test_every_part_has_run(rehearsed):
    parts = json.loads((rehearsed[0] / "out" / "one_gpu.json").read_text())["parts"]
    assert all(parts[name]["done"] and "error" not in parts[name] for name in PARTS)
    assert parts["latency"]["4"]["ours_ms"] > 0
    for stage in ("lam", "sequence", "elastictok", "teco", "midway", "lamo"):
        assert 0 < parts["throughput"][f"debug/{stage}"]["share_of_roofline"] < 1.5
        assert parts["throughput"][f"debug/{stage}"]["operations_per_step"] > 1e6
    assert parts["collect"]["frames"] >= 900
    assert parts["train"]["bundle"] and parts["suite"]["k2x1"]["summary"]
    assert parts["seeds"]["seed-1"]["suite"]["episodes_per_task"] == 1


def test_what_is_brought_back_is_small_and_whole(rehearsed, tmp_path):
    files = sorted((rehearsed[0] / "out").iterdir())
    assert len(files) <= 8 and all(0 < path.stat().st_size <= 16 << 20 for path in files)
    assert {"figures.csv", "episodes.csv", "training.png", "latency.png"} <= {path.name for path in files}
    with open(rehearsed[0] / "out" / "figures.csv", newline="") as file:
        assert {row["part"] for row in csv.DictReader(file)} == set(PARTS)
    pieces = b"".join(path.read_bytes() for path in files if path.name.startswith("bundle.tar."))
    with tarfile.open(fileobj=io.BytesIO(pieces)) as tar:
        tar.extractall(tmp_path, filter="data")
    assert LatentActionPolicy.from_pretrained(tmp_path / "bundle").slots == 4


def test_finished_parts_are_not_repeated(rehearsed):
    folder, options = rehearsed
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "work").rglob("parts/*.json")}
    (next((folder / "work").rglob("parts/suite.json"))).unlink()
    done = command(*options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [line for line in done.stdout.splitlines() if "finished before" in line] == [
        f"{name}: finished before" for name in PARTS if name != "suite"
    ]
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "work").rglob("parts/*.json")}
    assert all(after[name] == before[name] for name in before if name != "suite.json") and "suite.json" in after


def test_a_dry_run_says_what_would_be_done_and_does_nothing(tmp_path):
    done = command("--minutes", "8", "--dry-run", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"))
    assert done.returncode == 0 and all(name in done.stdout for name in PARTS)
    assert "480" not in done.stdout and "at most 8 files of at most 16 MiB" in done.stdout
    assert not list(tmp_path.iterdir())


def test_without_a_gpu_it_says_so(tmp_path):
    done = command("--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"))
    assert done.returncode == 2 and "torch finds no GPU here; --rehearse" in done.stderr
    assert "Traceback" not in done.stderr
