"""Two processes: equal weights and buffers, and the mean of both gradients."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("parallel.py")


def test_gradients_are_averaged_and_weights_and_buffers_are_rank_zeros(tmp_path):
    root = str(SCRIPT.parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", SCRIPT, tmp_path],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys() and float(first["buffer"]) == 1.0
    assert all(torch.equal(first[name], second[name]) for name in first)
    spec = importlib.util.spec_from_file_location("parallel", SCRIPT)
    assert spec and spec.loader
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    gradients = []
    for rank in (0, 1):
        stage, batch, generator = alone.half(rank, 2)
        stage.loss(batch, generator)[0].backward()
        gradients.append({name: p.grad for name, p in stage.model.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(first[name], (gradient + gradients[1][name]) / 2, rtol=1e-4, atol=1e-7)


def test_every_parameter_that_trains_gets_a_gradient(stages):
    # a parameter without one would stop several processes that train together
    for name in ("lam", "fixed", "sequence", "translator", "joint", "idm", "bc"):
        stage = stages.build(name)
        stage.loss(stage.next_batch("cpu"), torch.Generator().manual_seed(0))[0].backward()
        for module in stage.trained().values():
            missing = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
            assert not missing, (name, missing)
