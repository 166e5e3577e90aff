"""Losses of 100 steps of every stage, against recorded ones: whatever changes training without meaning to is seen here.

Rounding differs between processors: losses recorded on one were met within 2e-6 on another, and by the kernels for AVX2
and SSE4. So they are compared to 1e-4 wherever torch has the version that recorded them, and to 1 % elsewhere. The
inverse dynamics model and behaviour cloning learn few examples by heart within 100 steps at the others' rate, after
which their losses are rounding alone; a lower rate keeps them comparable.
Record anew, after a change that is meant: python tests/train/test_golden.py
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexlam_rl.models import slot_model
from flexlam_rl.models.flexlam.encoder import TransitionEncoder
from flexlam_rl.train.trainer import run
from tests.train import stages

FILE = Path(__file__).with_name("golden.json")

NAMES = ("lam", "fixed", "sequence", "factored", "translator", "joint", "idm", "bc")
GENTLE = {"idm": 2e-4, "bc": 2e-4}


def losses(name: str) -> list[float]:
    """Training losses at each tenth step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as out:
            loop = replace(stages.LOOP, steps=100, log_every=10, eval_every=100, save_every=100)
            run(stages.build(name), replace(loop, lr=GENTLE.get(name, loop.lr)), Path(out))
            rows = [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    finally:
        torch.set_num_threads(threads)
    return [row["loss"] for row in rows if row["part"] == "train"]


def recorded(name: str):
    """The recorded losses, with the tolerance of this version of torch."""
    golden = json.loads(FILE.read_text())
    return pytest.approx(
        golden["losses"][name], rel=1e-4 if golden["torch"] == torch.__version__.split("+")[0] else 1e-2
    )


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_the_recorded_ones(name):
    measured = losses(name)
    assert len(measured) == 10
    assert measured == recorded(name)


def prefixes_of(length):
    """All prefixes as long as `length` says of the number of slots."""

    def mutate(monkeypatch):
        monkeypatch.setattr(
            slot_model, "sample_prefix_lengths", lambda batch, slots, *rest: torch.full((batch,), length(slots))
        )

    return mutate


def cut_encoder(monkeypatch):
    forward = TransitionEncoder.forward
    monkeypatch.setattr(TransitionEncoder, "forward", lambda self, *given: forward(self, *given).detach())


def decay_more(monkeypatch):
    monkeypatch.setattr(stages, "LOOP", replace(stages.LOOP, weight_decay=10 * stages.LOOP.weight_decay))


def clip_nothing(monkeypatch):
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda parameters, most: clip(parameters, float("inf")))


def flip_vertically(monkeypatch):
    flip = torch.Tensor.flip
    monkeypatch.setattr(torch.Tensor, "flip", lambda self, axis: flip(self, -2))


def learn_faster(monkeypatch):
    monkeypatch.setattr(stages, "LOOP", replace(stages.LOOP, lr=1.01 * stages.LOOP.lr))


@pytest.mark.parametrize(
    ("mutate", "name"),
    [
        (prefixes_of(lambda slots: 0), "lam"),
        (prefixes_of(lambda slots: slots), "lam"),
        (prefixes_of(lambda slots: 0), "translator"),
        (prefixes_of(lambda slots: slots), "translator"),
        (cut_encoder, "lam"),
        (cut_encoder, "joint"),
        (decay_more, "lam"),
        (decay_more, "translator"),
        (clip_nothing, "sequence"),
        (flip_vertically, "lam"),
        (learn_faster, "translator"),
    ],
    ids=[
        "prefix of 0",
        "prefix of M",
        "prefix of 0, translator",
        "prefix of M, translator",
        "cut encoder",
        "cut encoder, joint",
        "weight decay",
        "weight decay, translator",
        "no clipping",
        "vertical flips",
        "rate",
    ],
)
def test_they_tell_a_change_of_training(mutate, name, monkeypatch):
    mutate(monkeypatch)
    assert losses(name) != recorded(name)


if __name__ == "__main__":
    record = {"torch": torch.__version__.split("+")[0], "losses": {name: losses(name) for name in NAMES}}
    FILE.write_text(json.dumps(record, indent=1) + "\n")
    print(f"recorded {FILE}", file=sys.stderr)
