"""Training neither depends on torch modes that its caller has set nor changes them."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.models.flexlam.pipeline import train_all


@contextmanager
def double():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


MODES = {
    "float64": double,
    "inference": torch.inference_mode,
    "no grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "meta device": lambda: torch.device("meta"),
    "deterministic": deterministic,
}


@pytest.fixture(scope="module")
def plain(make_rollouts, tmp_path_factory):
    """Options, and the figures of a training in no mode."""
    from flexlam_rl.models.flexlam.pipeline import TrainArgs

    root = tmp_path_factory.mktemp("modes")
    args = TrainArgs(make_rollouts(root / "data"), root / "plain", "debug", steps=2, label_count=60)
    return args, train_all(args)


@pytest.mark.parametrize("name", MODES)
def test_figures_are_those_of_a_plain_process(name, plain, tmp_path):
    args, figures = plain
    other = replace(args, out=tmp_path)
    with MODES[name]():
        before = (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_device(),
        )
        # in two calls, so that the second loads what the first has written
        train_all(replace(other, steps=1))
        continued = train_all(other)
        assert before == (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_device(),
        )
    train_all(replace(args, out=tmp_path / "same", steps=1))
    assert continued == train_all(replace(args, out=tmp_path / "same"))
    with MODES[name]():
        assert train_all(replace(args, out=tmp_path / "whole")) == figures


def test_the_callers_random_numbers_stay(plain, tmp_path):
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(7)
    np.random.seed(7)
    train_all(replace(plain[0], out=tmp_path, steps=1))
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
