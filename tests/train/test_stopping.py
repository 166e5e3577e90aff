"""Ctrl-C and SIGTERM: the step at hand is saved, one line says how to go on, and the same command does."""

import os
import signal
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from flexlam_rl.models.flexlam.pipeline import train_all, train_stage
from flexlam_rl.train import stopping
from flexlam_rl.train.trainer import run


def signal_at(step, number):
    def on_step(done):
        if done == step:
            os.kill(os.getpid(), number)

    return on_step


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_and_loses_nothing(number, tmp_path, stages, monkeypatch):
    monkeypatch.setattr(stopping, "_active", None)
    before = [signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGTERM, signal.SIG_DFL)]
    try:
        run(stages.build("lam"), stages.LOOP, tmp_path / "whole")
        # steps of which none is saved anyway
        for step in (4, 8):
            message = rf"^lam stopped after step {step} of 12, saved in .*parts; the same command continues$"
            with pytest.raises(KeyboardInterrupt, match=message):
                run(stages.build("lam"), stages.LOOP, tmp_path / "parts", signal_at(step, number))
        run(stages.build("lam"), stages.LOOP, tmp_path / "parts")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for which, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(which, handler)
    whole, parts = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[key], parts[key]) for key in whole)
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "parts/metrics.jsonl").read_text()


def test_an_interrupt_outside_the_steps_says_how_to_go_on_too(args, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("flexlam_rl.train.data.held_out_pairs", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"nothing in .*run is lost; the same command continues"):
        train_stage("lam", args)


def test_handlers_of_the_caller_and_ignored_signals_stay(args):
    def own(*_):
        pass

    before = [signal.signal(signal.SIGINT, own), signal.signal(signal.SIGTERM, signal.SIG_IGN)]
    try:
        with stopping.stopping():
            assert signal.getsignal(signal.SIGINT) is own
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        for which, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(which, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_with_one_line_and_goes_on(number, args, start_flexlam):
    length = 1_000_000
    process = start_flexlam(
        "train",
        "--data",
        str(args.data),
        "--out",
        str(args.out),
        "--preset",
        "debug",
        "--label-count",
        "60",
        "--steps",
        str(length),
    )
    state = args.out / "lam" / "state.safetensors"
    while not state.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 130
    lines = [line for line in err.splitlines() if "stopped" in line]
    assert len(lines) == 1 and "Traceback" not in err
    step = int(lines[0].split("after step ")[1].split()[0])
    assert lines[0] == (
        f"flexlam train: interrupted: lam stopped after step {step} of {length}, saved in {args.out / 'lam'}; the "
        "same command continues."
    )
    # a shorter length that is still ahead ends it here
    figures = train_all(replace(args, steps=step + 2))
    assert set(figures) == {"lam", "sequence", "translator"}
