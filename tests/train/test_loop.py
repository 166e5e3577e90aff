"""The training loop: a stopped or killed run equals one that never stopped, bit for bit; ranks agree; bad ends are
clean.
"""

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import flexlam_rl
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.train.trainer import LoopConfig, TrainingError, check_folder, run
from tests.train import stages

SCRIPT = Path(__file__).with_name("stages.py")

# the processes that tests start find the package where this one found it
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(flexlam_rl.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


class Stop(Exception):
    pass


def stop_at(step):
    def on_step(done):
        if done == step:
            raise Stop

    return on_step


def tensors(path):
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def in_new_process(*arguments):
    """Exit code of a process that trains; its server has imported torch once for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "tests.train.stages"])
    process = context.Process(target=stages.train, args=arguments)
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", stages.NAMES)
def test_a_stopped_run_equals_one_that_never_stopped(name, tmp_path):
    run(stages.build(name), stages.LOOP, tmp_path / "whole")
    for step in (4, 8, 11):  # before, between and after evaluations and saves
        with pytest.raises(Stop):
            run(stages.build(name), stages.LOOP, tmp_path / "parts", stop_at(step))
    run(stages.build(name), stages.LOOP, tmp_path / "parts")
    whole, header = tensors(tmp_path / "whole" / "state.safetensors")
    parts, other = tensors(tmp_path / "parts" / "state.safetensors")
    assert header == other
    assert whole.keys() == parts.keys()
    assert [key for key in whole if not torch.equal(whole[key], parts[key])] == []
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "parts/metrics.jsonl").read_text()
    for part in ("best", "last"):
        for file in sorted((tmp_path / "whole" / part).rglob("*.safetensors")):
            twin = tmp_path / "parts" / file.relative_to(tmp_path / "whole")
            assert file.read_bytes() == twin.read_bytes()


@pytest.mark.parametrize("name", ["lam", "sequence", "translator", "joint", "idm"])
def test_a_killed_process_equals_one_that_never_stopped(name, tmp_path):
    run(stages.build(name), stages.LOOP, tmp_path / "whole")
    # another step at each run of the tests: none may be special
    step = int.from_bytes(os.urandom(2)) % (stages.LOOP.steps - 1) + 1
    assert in_new_process(name, tmp_path / "parts", step) == -9, f"killed at step {step}"
    assert in_new_process(name, tmp_path / "parts") == 0
    whole, parts = (tensors(tmp_path / run_ / "state.safetensors")[0] for run_ in ("whole", "parts"))
    assert [key for key in whole if not torch.equal(whole[key], parts[key])] == [], f"killed at step {step}"


@pytest.mark.parametrize("name", stages.NAMES)
def test_everything_that_should_train_moves_and_nothing_else(name, tmp_path):
    stage = stages.build(name)
    modules = dict(stage.trained())
    if hasattr(stage, "lam"):
        modules["frozen lam"] = stage.lam
    before = {(m, key): p.detach().clone() for m, module in modules.items() for key, p in module.named_parameters()}
    run(stage, stages.LOOP, tmp_path)
    moved = {
        (m, key)
        for m, module in modules.items()
        for key, p in module.named_parameters()
        if not torch.equal(p, before[m, key])
    }
    expected = {key for key in before if key[0] != "frozen lam"}
    if name == "fixed":
        expected.remove(("lam", "null"))
    if name == "features":
        expected = {key for key in expected if not key[1].startswith("features.")}
    if name == "joint":
        expected = {key for key in expected if not (key[0] == "lam" and key[1].startswith("decoder"))}
        expected |= {("frozen lam", key) for m, key in expected if m == "lam"}
    assert moved == expected


def test_two_ranks_hold_equal_weights_and_resume(tmp_path):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--master-port=0",
        "--standalone",
        str(SCRIPT),
        "lam",
    ]
    done = subprocess.run([*command, str(tmp_path / "a")], check=False, capture_output=True, env=ENVIRONMENT, text=True)
    assert done.returncode == 0, done.stderr
    state, _ = tensors(tmp_path / "a" / "state.safetensors")
    assert not torch.equal(state["generator.0"], state["generator.1"])
    with pytest.raises(TrainingError, match="written by 2 processes; this run has 1"):
        run(stages.build("lam"), stages.LOOP, tmp_path / "a")


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path):
    stage = stages.build("lam")

    def poison(done):
        if done == 7:
            stage.model.null.data[0] = float("nan")

    with pytest.raises(TrainingError, match=r"the loss is nan at step 7; the last good state is .*state\.safetensors"):
        run(stage, stages.LOOP, tmp_path, poison)
    state, header = tensors(tmp_path / "state.safetensors")
    assert json.loads(header["extra"])["step"] == 6
    assert all(torch.isfinite(t.float()).all() for t in state.values())
    run(stages.build("lam"), stages.LOOP, tmp_path)
    LAM.from_pretrained(tmp_path / "best" / "lam")


def test_a_damaged_state_is_named(tmp_path):
    run(stages.build("idm"), stages.LOOP, tmp_path)
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"state\.safetensors is damaged or truncated"):
        run(stages.build("idm"), stages.LOOP, tmp_path)


def test_a_newer_state_and_one_of_another_model_are_named(tmp_path):
    run(stages.build("idm"), stages.LOOP, tmp_path)
    path = tmp_path / "state.safetensors"
    with pytest.raises(CheckpointError, match=r"state\.safetensors does not fit the model .bc.: it lacks"):
        run(stages.build("bc"), stages.LOOP, tmp_path)
    state, header = tensors(path)
    save_file(state, path, metadata={**header, "format": "99"})
    with pytest.raises(CheckpointError, match=r"state\.safetensors has format '99'; this version reads 1"):
        run(stages.build("idm"), stages.LOOP, tmp_path)


def test_a_folder_of_another_configuration_is_refused(tmp_path):
    check_folder(tmp_path, LoopConfig())
    check_folder(tmp_path, LoopConfig())
    with pytest.raises(
        TrainingError, match=r"another configuration: lr is 0\.001 there and 1\.0 here; seed is 0 there and 5 here"
    ):
        check_folder(tmp_path, replace(LoopConfig(), lr=1.0, seed=5))


def test_evaluation_and_best_checkpoint_go_together(tmp_path):
    best = run(stages.build("idm"), stages.LOOP, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    evaluations = [row for row in rows if row["part"] == "eval"]
    assert [row["step"] for row in evaluations] == [5, 10, 12]
    assert best["loss"] == min(row["loss"] for row in evaluations)
    assert json.loads((tmp_path / "best" / "metrics.json").read_text())["loss"] == best["loss"]
