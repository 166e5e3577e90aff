"""The command for a GPU, rehearsed on the CPU: every part runs, what it brings back is small, and it goes on."""

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("latency", "throughput", "collect", "train", "suite", "seeds")
MISSING = ("stable_baselines3", "sb3_contrib", "zarr", "minari", "labmaze", "torchrl", "tensordict", "tianshou", "ray")
MISSING += ("vector_quantize_pytorch", "einx")
BLOCKED = f"""
import contextlib, io, json, runpy, sys, pytest
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {MISSING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from tests.eval.conftest import shorten_episodes
shorten_episodes(pytest.MonkeyPatch())
ends = []
for options in json.loads(sys.argv[1]):
    sys.argv, code = ["one_gpu", *options], 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            runpy.run_module("benchmarks.one_gpu", run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            code = stop.code or 0
    ends.append([code, out.getvalue(), errors.getvalue()])
print(json.dumps(ends))
"""


class End(NamedTuple):
    """How the command has ended."""

    code: int
    out: str
    errors: str


def commands(*options: Sequence[str]) -> list[End]:
    """Run the command once for each of several options, in one process, as on a machine that lacks packages."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, json.dumps(options)], cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [End(*end) for end in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """Folders of a finished rehearsal."""
    folder = tmp_path_factory.mktemp("one-gpu")
    options = ("--rehearse", "--minutes", "6", "--out", str(folder / "out"), "--work", str(folder / "work"))
    (done,) = commands(options)
    assert done.code == 0, done.errors[-3000:]
    return folder, options


def test_every_part_has_run(rehearsed):
    parts = json.loads((rehearsed[0] / "out" / "one_gpu.json").read_text())["parts"]
    assert all(parts[name]["done"] and "error" not in parts[name] for name in PARTS)
    assert parts["latency"]["4"]["ours_ms"] > 0
    for stage in ("lam", "sequence", "vqvae", "videogpt", "elastictok", "teco", "midway", "lamo"):
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


def test_finished_parts_are_not_repeated_and_without_a_gpu_nothing_is_done(rehearsed, tmp_path):
    folder, options = rehearsed
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "work").rglob("parts/*.json")}
    (next((folder / "work").rglob("parts/suite.json"))).unlink()
    elsewhere = ("--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"))
    done, dry, refused = commands(options, ("--minutes", "8", "--dry-run", *elsewhere), elsewhere)
    assert done.code == 0, done.errors[-3000:]
    assert [line for line in done.out.splitlines() if "finished before" in line] == [
        f"{name}: finished before" for name in PARTS if name != "suite"
    ]
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "work").rglob("parts/*.json")}
    assert all(after[name] == before[name] for name in before if name != "suite.json") and "suite.json" in after
    assert dry.code == 0 and all(name in dry.out for name in PARTS)
    assert "480" not in dry.out and "at most 8 files of at most 16 MiB" in dry.out
    assert refused.code == 2 and "torch finds no GPU here; --rehearse" in refused.errors
    assert "Traceback" not in refused.errors and not list(tmp_path.iterdir())


LITTLE_TIME = """
import json, time
import pytest
from benchmarks.one_gpu import collecting
from benchmarks.one_gpu.throughput import NEVER
from benchmarks.train_throughput import ours
from flexlam_rl.train.trainer import LoopConfig
from tests.eval.conftest import shorten_episodes
from tests.train.stages import build
shorten_episodes(pytest.MonkeyPatch())
late = collecting._play("rooms_exploit_deferred_effects_train", "train", None, 10_000, lambda: True)
stage, steps = build("lam"), []
loss = stage.loss
def slow(batch, generator):
    steps.append(time.sleep(0.05))
    return loss(batch, generator)
stage.loss = slow
config = LoopConfig(steps=200, batch=4, eval_every=NEVER, save_every=NEVER, log_every=NEVER)
pace = ours(stage, config, 2, seconds=0.3)
print(json.dumps([[episode.length for episode in late], pace, len(steps)]))
"""


def test_with_little_time_each_task_has_an_episode_and_a_speed_is_measured_within_it():
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_TIME], cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    episodes, pace, steps = json.loads(done.stdout.splitlines()[-1])
    assert len(episodes) == 1 and episodes[0] > 0
    assert 0.05 <= pace < 0.5 and 4 <= steps <= 12
