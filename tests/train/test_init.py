"""Runs that start from the weights of another one, on some of the tasks, and in folders of former versions."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.pipeline import train_all, train_stage
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.train.trainer import TrainingError
from flexlam_rl.utils.errors import StoreError


def weights(run, stage="lam", model="lam"):
    return load_file(run / stage / "last" / model / "model.safetensors")


def distance(one, other):
    return sum(float((one[key] - other[key]).square().sum()) for key in one) ** 0.5


def test_a_run_starts_from_the_weights_of_another(args, tmp_path):
    first, second, fresh = (replace(args, out=tmp_path / name, seed=seed) for seed, name in enumerate("abc"))
    train_stage("lam", replace(first, steps=2))
    own = replace(second, init=tmp_path / "a", steps=1)
    train_stage("lam", own)
    train_stage("lam", replace(fresh, steps=1))
    start = load_file(tmp_path / "a/lam/best/lam/model.safetensors")
    assert distance(weights(tmp_path / "b"), start) < 0.1 * distance(weights(tmp_path / "c"), start)
    # the same command continues, from its own state
    train_stage("lam", replace(own, steps=2))
    assert json.loads((tmp_path / "b/lam/config.json").read_text())["init"]
    before = weights(tmp_path / "b")
    with pytest.raises(TrainingError, match=r"init is '.*' there and None here"):
        train_stage("lam", replace(own, init=None, steps=3))
    with pytest.raises(TrainingError, match=r"init is '.*' there and '.*' here"):
        train_stage("lam", replace(own, init=tmp_path / "c", steps=3))
    assert all(torch.equal(before[key], tensor) for key, tensor in weights(tmp_path / "b").items())


def test_rates_are_the_recipes_times_a_factor_and_part_of_the_run(args, tmp_path):
    train_stage("lam", replace(args, steps=3))
    start = weights(args.out)
    ways = [replace(args, out=tmp_path / str(scale), init=args.out, steps=1, lr_scale=scale) for scale in (1.0, 0.25)]
    for way in ways:
        train_stage("lam", way)
    loops = [json.loads((way.out / "lam/config.json").read_text())["loop"] for way in ways]
    assert loops[1] == loops[0] | {"lr": loops[0]["lr"] / 4, "matrix_lr": loops[0]["matrix_lr"] / 4}
    # the first step of AdamW is its rate in every direction
    full, quarter = (distance(weights(way.out), start) for way in ways)
    assert quarter == pytest.approx(full / 4, rel=0.02)
    with pytest.raises(TrainingError, match=r"lr .* there and .* here"):
        train_stage("lam", replace(ways[1], lr_scale=1.0, steps=2))


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf"), "fast", True])
def test_a_factor_of_rates_that_is_none_is_refused(args, scale):
    with pytest.raises(ValueError, match="lr_scale is"):
        replace(args, lr_scale=scale)


def test_a_stage_with_two_models_and_a_whole_chain_start_from_a_run_or_a_bundle(args, tmp_path):
    train_all(replace(args, steps=1))
    train_stage("joint", replace(args, steps=1))
    for model in ("lam", "sequence", "translator"):
        shutil.copytree(args.out / model / "best" / model, tmp_path / "bundle" / model)
    for start in (args.out, tmp_path / "bundle"):
        figures = train_all(replace(args, out=tmp_path / f"from {start.name}", init=start, steps=1, seed=1))
        assert set(figures) == {"lam", "sequence", "translator"}
    train_stage("joint", replace(args, out=tmp_path / "joint", lam_run=args.out, init=args.out, steps=1))
    start = load_file(args.out / "joint/best/lam/model.safetensors")
    assert distance(weights(tmp_path / "joint", "joint"), start) < 0.1 * distance(LAM(LAM.from_pretrained(
        args.out / "lam/best/lam").config).state_dict(), start)  # fmt: skip


def test_weights_of_other_shapes_are_refused_by_the_name_of_a_tensor(args, tmp_path):
    train_stage("lam", replace(args, steps=1))
    other = replace(args, out=tmp_path / "other", init=args.out, steps=1)
    with pytest.raises(CheckpointError, match=r"tensor '.*' has shape \(.*\); expected \(.*\)"):
        train_stage("lam", replace(other, fsq_levels=(3, 3)))
    assert not list((tmp_path / "other").rglob("*.safetensors"))
    with pytest.raises(TrainingError, match="expected a run with weights of the model 'idm' in"):
        train_stage("idm", other)


def test_some_of_the_tasks_are_trained_on(args):
    train_stage("lam", replace(args, steps=1, tasks=("beta",)))
    assert len(json.loads((args.out / "lam/config.json").read_text())["data"]) == 1
    with pytest.raises(StoreError, match="no rollouts of gamma"):
        train_stage("lam", replace(args, steps=1, tasks=("gamma",)))


def test_a_folder_whose_configuration_has_a_field_under_its_former_name_continues(args):
    mixed = replace(args, steps=1, prefix_distribution="mixed")
    train_stage("lam", mixed)
    path = args.out / "lam/config.json"
    record = json.loads(path.read_text())
    record["prefix_law"] = record.pop("prefix_distribution")
    path.write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"prefix_distribution is 'mixed' there and None here"):
        train_stage("lam", replace(mixed, prefix_distribution="uniform", steps=2))
    train_stage("lam", replace(mixed, steps=2))
