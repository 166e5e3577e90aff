"""A run is the same run on another device, at another length, and with other intervals; what else differs is named with
both values.
"""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from flexlam_rl.datasets import Episode, Origin, RolloutWriter
from flexlam_rl.models.flexlam import pipeline, run_config
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_all, train_stage
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.train import optim
from flexlam_rl.train.trainer import LoopConfig, TrainingError, check_folder, run

_spec = importlib.util.spec_from_file_location("resume_stages", Path(__file__).parents[1] / "train" / "stages.py")
assert _spec and _spec.loader
stages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stages)
LOOP = stages.LOOP


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("rollouts"), np.random.default_rng(0)
    for split in ("train", "test"):
        with RolloutWriter(root, "rooms_watermaze", split, Origin(engine="litelab", action_set="dreamer15")) as writer:
            frames = rng.integers(0, 256, (61, 64, 64, 3), dtype=np.uint8)
            writer.append_episode(Episode(frames, rng.integers(0, 15, 60).astype(np.int16), np.zeros(60, np.float32)))
    return root


@pytest.fixture
def args(rollouts, tmp_path):
    return TrainArgs(rollouts, tmp_path / "run", "debug", steps=2, label_count=20)


def state(folder):
    with safe_open(folder / "state.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["extra"])  # noqa: SIM118


def equal(first, second):
    tensors, others = state(first)[0], state(second)[0]
    return tensors.keys() == others.keys() and all(torch.equal(tensors[key], others[key]) for key in tensors)


class Stopped(Exception):
    pass


def stop_at(step):
    def on_step(done):
        if done == step:
            raise Stopped

    return on_step


def test_another_name_of_the_device_continues_the_run(args):
    train_stage("lam", args)
    train_stage("lam", replace(args, steps=4, device="cpu:0"))
    assert json.loads((args.out / "lam/config.json").read_text())["loop"]["device"] == "cpu:0"
    assert state(args.out / "lam")[1]["step"] == 4


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_run_whose_generator_was_another_devices_goes_on_and_always_equally(optimiser, tmp_path):
    loop = replace(LOOP, optimiser=optimiser)
    with pytest.raises(Stopped):
        run(stages.build("lam"), loop, tmp_path / "a", stop_at(7))
    path = tmp_path / "a" / "state.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors, _ = state(tmp_path / "a")
    # a CUDA generator's state is its seed and its offset, 8 bytes each
    tensors["generator.0"] = torch.tensor([1, 4], dtype=torch.int64).view(torch.uint8)
    for name in ("b", "c"):
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "state.safetensors", metadata=header)
        run(stages.build("lam"), loop, tmp_path / name)
    assert equal(tmp_path / "b", tmp_path / "c")
    assert state(tmp_path / "b")[1]["step"] == LOOP.steps


def test_an_extended_run_that_was_killed_equals_one_that_was_not(tmp_path, capsys):
    longer = replace(LOOP, steps=20)
    for name, stops in (("whole", ()), ("parts", (14, 17))):
        run(stages.build("lam"), LOOP, tmp_path / name)
        for step in stops:
            with pytest.raises(Stopped):
                run(stages.build("lam"), longer, tmp_path / name, stop_at(step))
        run(stages.build("lam"), longer, tmp_path / name)
    assert equal(tmp_path / "whole", tmp_path / "parts")
    assert state(tmp_path / "parts")[1]["lengths"] == [[0, 12], [12, 20]]
    rows = [json.loads(line) for line in (tmp_path / "parts/metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows) == 20
    assert (
        "lam: continues at step 12 with 20 steps instead of 12, on the schedule of the new length."
        in capsys.readouterr().out
    )


def test_the_rates_after_an_extension_are_those_of_the_new_length(tmp_path, monkeypatch):
    rates = []
    set_rate = optim.set_rate
    monkeypatch.setattr(optim, "set_rate", lambda optimisers, share: rates.append(share) or set_rate(optimisers, share))
    run(stages.build("idm"), LOOP, tmp_path)
    run(stages.build("idm"), replace(LOOP, steps=20), tmp_path)
    short, long = ([optim.learning_rate(step, steps, LOOP.warmup) for step in range(steps)] for steps in (12, 20))
    assert rates == short + long[12:]


def test_fewer_steps_than_are_trained_are_refused_before_anything_changes(args):
    train_stage("lam", replace(args, steps=4))
    before = (args.out / "lam/config.json").read_bytes()
    with pytest.raises(TrainingError, match=r"lam has already trained 4 steps, and steps is 3: give at least 4"):
        train_stage("lam", replace(args, steps=3))
    assert (args.out / "lam/config.json").read_bytes() == before
    run(stages.build("idm"), replace(LOOP, steps=4), args.out / "idm")
    with pytest.raises(TrainingError, match="has already trained 4 steps"):
        run(stages.build("idm"), replace(LOOP, steps=3), args.out / "idm")


def test_intervals_are_no_part_of_a_runs_identity(tmp_path):
    check_folder(tmp_path, LOOP)
    check_folder(
        tmp_path,
        replace(LOOP, log_every=1, eval_every=2, save_every=7, compile=True, device="cuda", steps=99, warmup=9),
    )
    assert json.loads((tmp_path / "config.json").read_text())["eval_every"] == 2


def test_every_field_that_differs_is_named_with_both_values(args, tmp_path):
    check_folder(tmp_path, LoopConfig())
    with pytest.raises(
        TrainingError,
        match=r"lr is 0\.001 there and 1\.0 here; seed is 0 there and 5 here; warmup is 100 there and 3 here",
    ):
        check_folder(tmp_path, replace(LoopConfig(), lr=1.0, seed=5, warmup=3))
    train_stage("lam", args)
    with pytest.raises(
        TrainingError, match=r"model\.prefix is True there and False here; model\.slots is 4 there and 2 here"
    ):
        train_stage("lam", replace(args, fixed=2))


def test_a_run_that_moves_keeps_its_arithmetic(args, monkeypatch):
    recipe = RECIPES["debug"]
    monkeypatch.setitem(RECIPES, "debug", replace(recipe, lam=replace(recipe.lam, precision="bf16")))
    monkeypatch.setattr(optim, "multiplies_bfloat16", lambda: True)
    train_stage("lam", args)
    monkeypatch.setattr(optim, "multiplies_bfloat16", lambda: False)
    train_stage("lam", replace(args, steps=3))
    assert json.loads((args.out / "lam/config.json").read_text())["loop"]["precision"] == "bf16"
    with pytest.raises(TrainingError, match=r"loop\.precision is 'bf16' there and 'fp32' here"):
        train_stage("lam", replace(args, steps=4, precision="fp32"))


def test_a_cpu_by_number_is_a_cpu(args):
    assert run_config.loop_config("lam", replace(args, preset="small", device="cpu:0")) == replace(
        run_config.loop_config("lam", replace(args, preset="small")), device="cpu:0"
    )


def test_a_longer_chain_continues_the_lam_and_keeps_what_was_trained_on_its_earlier_codes(args):
    train_all(args)
    figures = train_all(replace(args, steps=4))
    assert state(args.out / "lam")[1]["step"] == 4
    if json.loads((args.out / "lam/best/metrics.json").read_text())["step"] == 4:
        kept = list(args.out.glob("sequence-of-lam-*"))
        assert [state(folder)[1]["step"] for folder in kept] == [2]
    assert state(args.out / "sequence")[1]["step"] == 4
    assert train_all(replace(args, steps=4)) == figures


def test_labels_drawn_anew_under_the_same_name_are_other_labels(args):
    from flexlam_rl.datasets import make_labels, open_rollouts

    own = replace(args, labels="redrawn")
    train_stage("idm", own)
    make_labels(open_rollouts(args.data, split="train"), "redrawn", count=20, seed=1, overwrite=True)
    with pytest.raises(TrainingError, match="label_rows is"):
        train_stage("idm", own)


def test_a_folder_from_before_labels_were_recorded_continues(args):
    train_stage("idm", args)
    path = args.out / "idm/config.json"
    record = json.loads(path.read_text())
    del record["label_rows"]
    path.write_text(json.dumps(record))
    train_stage("idm", replace(args, steps=3))


def test_a_damaged_configuration_is_named(args):
    train_stage("lam", args)
    (args.out / "lam/config.json").write_text("{")
    with pytest.raises(TrainingError, match=r"config\.json is no readable JSON"):
        train_stage("lam", args)


def test_numpy_numbers_are_numbers(args):
    train_stage("lam", replace(args, fixed=2, levels=(5, 5)))
    before = (args.out / "lam/config.json").read_bytes()
    train_stage("lam", replace(args, steps=np.int64(2), seed=np.uint8(0), fixed=np.int32(2), levels=np.array([5, 5])))
    assert (args.out / "lam/config.json").read_bytes() == before
    assert type(LoopConfig(steps=torch.tensor(3), lr=np.float64(0.5)).lr) is float
    for name, value in (("steps", 0), ("steps", 2.5), ("seed", -1), ("fixed", True), ("label_count", 0)):
        with pytest.raises(ValueError, match=f"{name} is {value}; expected a whole number"):
            replace(args, **{name: value})


def test_the_closing_line_labels_the_step_and_prints_it_whole():
    line = pipeline.figures_line("lam", {"step": 130, "loss": 0.5, "codes": 12})
    assert line == "lam: best at step 130: loss 0.5000, codes 12"
