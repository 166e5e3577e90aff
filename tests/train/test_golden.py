"""Losses of 100 steps of every stage, against recorded ones: whatever changes training without meaning to is seen here.

Rounding differs between versions of torch and kinds of processors, and a code that falls on the other side of a boundary changes the
loss a little. So losses are compared to 1e-5 on the kind of machine that recorded them, and to 5 % elsewhere.
Record anew, after a change that is meant: python tests/train/test_golden.py
"""

import hashlib
import importlib.util
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexlam_rl.train.loop import run

FILE = Path(__file__).with_name("golden.json")
_spec = importlib.util.spec_from_file_location("golden_stages", Path(__file__).with_name("stages.py"))
assert _spec and _spec.loader
stages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stages)

NAMES = ("lam", "fixed", "sequence", "translator", "joint", "idm", "bc")


def machine() -> dict[str, str]:
    """What rounding depends on: torch, and the processor's model and abilities."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return {"torch": torch.__version__, "processor": hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]}


def losses(name: str) -> list[float]:
    """Training losses at each tenth step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as out:
            loop = replace(stages.LOOP, steps=100, log_every=10, eval_every=100, save_every=100)
            run(stages.build(name), loop, Path(out))
            rows = [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    finally:
        torch.set_num_threads(threads)
    return [row["loss"] for row in rows if row["part"] == "train"]


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_the_recorded_ones(name):
    golden = json.loads(FILE.read_text())
    tolerance = {"rel": 1e-5} if golden["machine"] == machine() else {"rel": 0.05, "abs": 0.01}
    measured = losses(name)
    assert len(measured) == 10
    assert measured == pytest.approx(golden["losses"][name], **tolerance)


def test_they_tell_a_change_of_training(monkeypatch):
    golden = json.loads(FILE.read_text())["losses"]["translator"]
    monkeypatch.setattr(stages, "LOOP", replace(stages.LOOP, lr=stages.LOOP.lr * 1.5))
    assert losses("translator") != pytest.approx(golden, rel=0.05, abs=0.01)


if __name__ == "__main__":
    FILE.write_text(json.dumps({"machine": machine(), "losses": {name: losses(name) for name in NAMES}}, indent=1) + "\n")
    print(f"recorded {FILE}", file=sys.stderr)
