"""A suite that is stopped in the middle of its only batch, any number of times, equals one that never was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.snapshot_files import read_snapshot, write_snapshot
from flexlam_rl.cli import main
from flexlam_rl.eval.suite.progress import Progress
from flexlam_rl.eval.suite.results import RUNNING
from flexlam_rl.utils.command_line import INTERRUPTED
from flexlam_rl.utils.errors import StoreError

ROOT = Path(__file__).resolve().parents[3]
LEVELS = ("rooms_exploit_deferred_effects_train", "psychlab_visual_search")
STEPS = 75  # of the first one's episodes, which are short here

pytestmark = pytest.mark.usefixtures("short_episodes")


def arguments(out: Path, *more: str, levels: tuple[str, ...] = LEVELS[:1]) -> list[str]:
    given = ("--episodes", "2", "--num-envs", "64", "--no-plots", "--levels", *levels)
    return ["suite", "--out", str(out), *given, *more]


@pytest.fixture(scope="module")
def latent(bundle_folder) -> tuple[str, ...]:
    """FlexLAM with drawn codes and actions; its chunk has rows of both budgets and one that is padding."""
    return "--checkpoint", str(bundle_folder), "--budget", "1,3", "--chunk", "5", "--action-temperature", "1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, latent) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(arguments(out, *latent)) == 0
    return out


@pytest.fixture
def stop_at(monkeypatch):
    """stop_at(step) lets Ctrl-C come at that step, counted over runs; 0 lets none come."""
    monkeypatch.setattr("flexlam_rl.eval.suite.running.EVERY", 1e9)  # saved on a stop alone
    stepped, at, done = Progress.stepped, 0, 0

    def step(self, playing):
        nonlocal done
        stepped(self, playing)
        done += 1
        if done == at:
            signal.raise_signal(signal.SIGINT)

    def choose(step):
        nonlocal at, done
        at, done = step, 0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(Progress, "stepped", step)
    yield choose
    signal.signal(signal.SIGINT, before)


def stopped_and_continued(out: Path, given: tuple[str, ...], stop_at, moments: list[int], **kwargs) -> None:
    """Stops come after so many steps that are new."""
    at = 0
    for steps in moments:
        stop_at(at + steps)  # the steps before are made again
        assert main(arguments(out, *given, **kwargs)) == INTERRUPTED
        at += steps
        assert (out / RUNNING).is_file()
    stop_at(0)
    assert main(arguments(out, *given, **kwargs)) == 0
    assert not (out / RUNNING).exists()


def test_flexlam_goes_on_where_it_was_stopped(whole, latent, stop_at, tmp_path, capsys):
    moments = sorted(np.random.default_rng(5).integers(1, STEPS, 3).tolist())
    stopped_and_continued(tmp_path / "run", latent, stop_at, np.diff([0, *moments]).tolist())
    said = capsys.readouterr()
    assert f"and 4 that were being played, at step {moments[0]}, the same command continues" in said.err
    assert f"4 episodes continue at step {moments[0]}" in " ".join(said.out.split())
    assert (tmp_path / "run" / "results.json").read_bytes() == (whole / "results.json").read_bytes()


@pytest.mark.parametrize("policy", ["random", "expert", "reactive", "previous-action", "bc"])
def test_so_does_every_other_policy(policy, bundle_folder, cloning_run, stop_at, tmp_path):
    """Stopped before and after one of two levels has ended; a stop that comes later reads none of the first saves."""
    checkpoint = {"previous-action": bundle_folder, "bc": cloning_run}.get(policy)
    given = ("--policy", policy, "--chunk", "3", *(("--checkpoint", str(checkpoint)) if checkpoint else ()))
    levels = LEVELS if policy in ("random", "reactive") else LEVELS[:1]
    stop_at(0)
    assert main(arguments(tmp_path / "whole", *given, levels=levels)) == 0
    stopped_and_continued(tmp_path / "run", given, stop_at, [58, 16], levels=levels)
    assert (tmp_path / "run" / "results.json").read_bytes() == (tmp_path / "whole" / "results.json").read_bytes()


@pytest.mark.parametrize("kind", ["pixel", "learned"])
def test_so_do_experts_that_see_pixels(kind, stop_at, tmp_path, request):
    """Their previous actions, memories and draws are kept."""
    folder = (
        request.getfixturevalue("pixel_expert_folder")
        if kind == "pixel"
        else request.getfixturevalue("learned_expert_run") / "best"
    )
    given = ("--policy", f"{kind}:{folder}")
    stop_at(0)
    assert main(arguments(tmp_path / "whole", *given)) == 0
    stopped_and_continued(tmp_path / "run", given, stop_at, [33])
    assert (tmp_path / "run" / "results.json").read_bytes() == (tmp_path / "whole" / "results.json").read_bytes()


@pytest.fixture(scope="module")
def cloning_run(tmp_path_factory, write_cloning) -> Path:
    return write_cloning(tmp_path_factory.mktemp("cloning"))


def test_killed_after_saves_and_continued_equals_uninterrupted(whole, latent, tmp_path):
    out = tmp_path / "run"
    code = (
        "import sys, pytest; import flexlam_rl.eval.suite.running as r; r.EVERY, r.SHARE = 0.02, 1.0; "
        "from tests.eval.conftest import shorten_episodes; shorten_episodes(pytest.MonkeyPatch()); "
        "from flexlam_rl.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *arguments(out, *latent)]
    env, random = {**os.environ, "PYTHONPATH": str(ROOT)}, np.random.default_rng()
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not (out / RUNNING).exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.1))
        process.kill()
    assert 0 < len(read_snapshot(out / RUNNING)["actions"]) < STEPS
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((out / "results.json").read_text())["episodes"]
        == json.loads((whole / "results.json").read_text())["episodes"]
    )
    assert not [path for path in out.iterdir() if path.name == RUNNING or path.suffix == ".tmp"]


@pytest.mark.parametrize("fault", ["damaged", "num_envs", "episodes", "actions", "memory", "identity"])
def test_what_was_kept_and_does_not_fit_is_left_aside_with_a_sentence(fault, stop_at, tmp_path, capsys):
    given, out = ("--policy", "random"), tmp_path / "run"
    stop_at(0)
    assert main(arguments(tmp_path / "whole", *given)) == 0
    stop_at(25)
    assert main(arguments(out, *given)) == INTERRUPTED
    stop_at(0)
    capsys.readouterr()
    path, more = out / RUNNING, ()
    if fault == "damaged":
        path.write_bytes(path.read_bytes()[:-7])
    elif fault in ("num_envs", "episodes"):
        more = (f"--{fault.replace('_', '-')}", "1")
    else:
        content = read_snapshot(path)
        if fault == "actions":
            content["actions"][7] = (content["actions"][7] + 1) % 15
        elif fault == "memory":
            content["memory"]["drawn"] = content["memory"]["drawn"][:, :-1]
        else:
            content["identity"]["seed"] = 8
        write_snapshot(path, content)
    assert main(arguments(out, *given, *more)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the episodes that were being played begin anew" in said
    assert RUNNING in said
    assert not path.exists()
    episodes = [json.loads((folder / "results.json").read_text())["episodes"] for folder in (out, tmp_path / "whole")]
    assert episodes[0] == episodes[1][: len(episodes[0])]


def test_a_policy_that_does_not_tell_its_state_is_stopped_at_once(stop_at, tmp_path, monkeypatch, capsys):
    from flexlam_rl.agents.policy import registry as policies

    class Turn:
        def __init__(self, env, checkpoint, seed, device, deterministic):
            self.rows = env.unwrapped.num_envs

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.full(self.rows, 6), state

    monkeypatch.setattr(policies.POLICIES, "_registered", {"turn": Turn})
    stop_at(17)
    assert main(arguments(tmp_path / "run", "--policy", "turn")) == INTERRUPTED
    assert "none had ended yet" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_snapshots_come_back_exactly(tmp_path):
    import torch

    path = tmp_path / "s.safetensors"
    content = {
        "a": [np.arange(6).reshape(2, 3).T, {"b": torch.tensor([1.5, float("nan")], dtype=torch.bfloat16)}],
        "c": {"big": 2**127 + 1, "none": None, "flag": True, "words": "é"},
        "d": np.array([True, False]),
    }
    write_snapshot(path, content)
    found = read_snapshot(path)
    assert found["c"] == content["c"]
    assert found["a"][0].dtype == np.int64 and (found["a"][0] == content["a"][0]).all()
    assert (found["d"] == content["d"]).all() and found["d"].dtype == np.bool_
    tensor = found["a"][1]["b"]
    assert (
        tensor.dtype == torch.bfloat16
        and tensor.view(torch.int16).tolist() == content["a"][1]["b"].view(torch.int16).tolist()
    )
    with pytest.raises(TypeError):
        write_snapshot(path, {"set": {1}})
    assert read_snapshot(path)["c"] == content["c"]
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError, match="damaged"):
        read_snapshot(path)
