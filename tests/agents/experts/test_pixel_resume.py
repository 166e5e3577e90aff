"""Training of a pixel expert that is killed and resumed equals the one that never stopped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.training import train
from flexlam_rl.agents.experts.pixel.world import DomainWorld

sys.path.insert(0, str(Path(__file__).parent))
from toy_world import ToyWorld

SMALL = {"rollout": 8, "channels": 4, "gru": 8, "minibatches": 2, "evaluate_every": 10**9, "save_every": 1}
TOY = Recipe(tasks=("cheap", "dear"), teacher="scripted", envs=4, steps=256, clone_steps=128, half_life=20, **SMALL)
LEVELS = ("rooms_watermaze", "explore_goal_locations_small")


class Killed(Exception):
    """Stands for a kill."""


def kill_at(wanted: int):
    def look(step: int) -> None:
        if step >= wanted:
            raise Killed

    return look


def state(out: Path) -> tuple[dict, dict]:
    """Everything that a saved state holds."""
    with safe_open(out / "state.safetensors", "pt") as file:
        extra = json.loads(file.metadata()["extra"])
    return load_file(out / "state.safetensors"), extra


def same(one: Path, two: Path) -> None:
    (tensors, extra), (others, other) = state(one), state(two)
    assert extra == other
    assert set(tensors) == set(others) and all((value == others[name]).all() for name, value in tensors.items())


def figures(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "steps_per_second"} for line in lines]


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    train(TOY, ToyWorld(), tmp_path / "whole")
    for wanted in (96, 160, 224):  # each kill loses an iteration that was played and logged, and not saved
        with pytest.raises(Killed):
            train(TOY, ToyWorld(), tmp_path / "parts", on_iteration=kill_at(wanted))
    said: list[str] = []
    train(TOY, ToyWorld(), tmp_path / "parts", said.append)
    assert said[0] == "Resumed at 192 steps."
    same(tmp_path / "whole", tmp_path / "parts")
    assert figures(tmp_path / "whole") == figures(tmp_path / "parts")
    assert any("agreement/dear" in line for line in figures(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("teacher", "domain"),
    [("reactive:5", "dmlab"), ("scripted", "dmlab"), ("none", "dmlab"), ("scripted", "vizdoom")],
)
def test_worlds_and_teacher_go_on_where_they_were(tmp_path: Path, teacher: str, domain: str) -> None:
    if domain == "vizdoom":
        pytest.importorskip("vizdoom", reason="the extra `vizdoom` is not installed")
    tasks = LEVELS if domain == "dmlab" else ("basic", "defend_the_center")

    class Quiet(DomainWorld):
        def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
            return 0.0, 0.0

    name, _, memory = teacher.partition(":")
    more = {"teacher": name, "teacher_memory": int(memory) if memory else None, "clone_steps": 64}
    recipe = Recipe(tasks=tasks, domain=domain, envs=2, steps=80, **more, **SMALL)
    train(recipe, Quiet(0, domain), tmp_path / "whole")
    with pytest.raises(Killed):
        train(recipe, Quiet(0, domain), tmp_path / "parts", on_iteration=kill_at(64))
    train(recipe, Quiet(0, domain), tmp_path / "parts")
    same(tmp_path / "whole", tmp_path / "parts")
    assert figures(tmp_path / "whole") == figures(tmp_path / "parts")


def test_a_longer_run_goes_on_and_another_recipe_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    train(replace(TOY, steps=64), ToyWorld(), tmp_path / "run")
    train(replace(TOY, steps=128), ToyWorld(), tmp_path / "run")
    assert state(tmp_path / "run")[1]["step"] == 128
    with pytest.raises(ValueError, match="holds a run with gru 8, but the command says 16"):
        train(replace(TOY, gru=16), ToyWorld(), tmp_path / "run")


def test_what_is_no_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"nothing")
    command = [sys.executable, "-m", "flexlam_rl.cli", "expert", "train", "--tasks", LEVELS[0], "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "is not a state of a pixel expert's training" in done.stderr
    done = subprocess.run([*command, "--envs", "2"], capture_output=True, text=True, env=dict(os.environ))
    assert "envs is 2; expected at least 4" in done.stderr


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    import numpy as np
    from PIL import Image

    from flexlam_rl.checkpoints import PIXEL_EXPERT
    from flexlam_rl.cli import main

    shutil.copytree(PIXEL_EXPERT, tmp_path / "last")  # a run's last policy says what it was trained in
    pictures = []
    for end in (10.0, 40.0):
        lines = [{"step": 10, "part": "eval", "return/rooms_watermaze": 5.0, "score": 2.0}]
        lines += [{"step": 20, "part": "train", "policy": 1.0}]
        lines += [{"step": 20, "part": "eval", "return/rooms_watermaze": end, "score": 2.0}]
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert main(["expert", "plot", str(tmp_path), "-o", str(tmp_path / "a.png")]) == 0
        pictures.append(np.asarray(Image.open(tmp_path / "a.png")))
    assert (pictures[0] != pictures[1]).any()
    (tmp_path / "metrics.jsonl").unlink()
    assert main(["expert", "plot", str(tmp_path), "-o", str(tmp_path / "a.png")]) == 2
    assert main(["expert", "plot", str(tmp_path), "-o", str(tmp_path / "a.gif")]) == 2
