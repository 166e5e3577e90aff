"""The suite plays any domain: its tasks, its references, its record in the results."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.datasets import RolloutStore
from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.domain import DOMAINS, Reference, Task
from flexlam_rl.envs.episodes import SeededEpisodes, make_batch
from flexlam_rl.envs.spec import ActionSpec, EnvSpec
from flexlam_rl.utils.command_line import WRONG_USE


class Guess(gym.Env[Any, Any]):
    """Shows a number, and rewards the action that names it; four steps."""

    observation_space = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, spec: EnvSpec, scale: float) -> None:
        self.env_spec, self.scale = spec, scale

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return self._frame(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = self.scale * (action == self.number)
        self.at += 1
        return self._frame(), float(reward), False, self.at == 4, {}

    def _frame(self) -> np.ndarray:
        self.number = int(self.np_random.integers(2))
        return np.full((8, 8, 3), self.number, np.uint8)


class Guessing:
    """Two tasks, of which one is scored."""

    name = "guessing"

    def tasks(self) -> Sequence[Task]:
        return [Task("ones", True, 8, False), Task("tens", False, 8, False)]

    def task(self, name: str) -> Task:
        found = {task.name: task for task in self.tasks()}
        if name not in found:
            raise ValueError(f"Unknown task {name!r}: expected ones or tens.")
        return found[name]

    def defaults(self) -> EnvSpec:
        return self.resolve(EnvSpec("guessing", "python", "two", frame_skip=2, width=8, height=8, look=()))

    def resolve(self, spec: EnvSpec) -> EnvSpec:
        return replace(spec, action_hash=self.actions(spec).hash)

    def actions(self, spec: EnvSpec) -> ActionSpec:
        return action_spec_of(Guess.action_space, "two")

    def make(self, task: str, spec: EnvSpec, evaluation: bool = False, frames: bool = True, words: bool = False) -> Any:
        return SeededEpisodes(Guess(spec, {"ones": 1.0, "tens": 10.0}[task]), evaluation)

    def make_vec(
        self, tasks: Sequence[str], spec: EnvSpec, evaluation: bool = False, frames: bool = True, words: bool = False
    ) -> Any:
        return make_batch([partial(self.make, task, spec, evaluation) for task in tasks])

    def reference(self, task: str, spec: EnvSpec, name: str = "expert") -> Reference | None:
        return Reference(spec.engine, task, name, 4.0, 2.0) if task == "ones" else None

    def shows_last(self, spec: EnvSpec) -> bool:
        return True


@pytest.fixture
def domain() -> Iterator[None]:
    DOMAINS.register("guessing", Guessing())
    yield
    DOMAINS.unregister("guessing")


def suite(out: Path, *arguments: str) -> int:
    return main(["suite", "--domain", "guessing", "--out", str(out), "--episodes", "3", "--no-plots", *arguments])


def test_another_domains_tasks_are_played_and_scored(
    domain: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reader.py").write_text(
        "class Reader:\n"
        "    def __init__(self, env): pass\n"
        "    def predict(self, observation, state=None, episode_start=None, deterministic=False):\n"
        "        return observation[:, 0, 0, 0].astype(int), state\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert suite(tmp_path / "read", "--policy", "reader:Reader", "--tasks", "all") == 0
    record = json.loads((tmp_path / "read" / "results.json").read_bytes())
    assert record["scene"]["domain"] == "guessing"
    assert record["scene"]["action_hash"] == Guessing().defaults().action_hash
    assert [(row["level"], row["return"], row["steps"]) for row in record["episodes"]] == [
        *[("ones", 4.0, 4)] * 3,
        *[("tens", 40.0, 4)] * 3,
    ]
    (summary,) = record["summary"].values()
    assert summary["levels"]["ones"]["normalised"] == summary["levels"]["ones"]["minus_random"] == 100.0
    assert "normalised" not in summary["levels"]["tens"]  # nobody has measured a reference
    assert suite(tmp_path / "random", "--policy", "random") == 0
    rows = json.loads((tmp_path / "random" / "results.json").read_bytes())["episodes"]
    assert {row["level"] for row in rows} == {"ones"}  # the scored task
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "read"), str(tmp_path / "random")]) == 0
    assert suite(tmp_path / "none", "--policy", "random", "--tasks", "hundreds") == WRONG_USE
    assert "Unknown task 'hundreds'" in capsys.readouterr().err


def test_another_domains_policy_is_refused_before_anything_is_written(
    domain: None, bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert suite(tmp_path / "out", "--checkpoint", str(bundle_folder)) == WRONG_USE
    assert "trained in the domain 'dmlab', and the suite plays 'guessing'" in capsys.readouterr().err
    for expert in ("scripted", "reactive"):
        assert suite(tmp_path / "out", "--policy", expert) == WRONG_USE
        assert f"The {expert} expert reads the worlds of dmlab" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_another_domains_tasks_are_collected_and_measured(
    domain: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collect = ["collect", "--domain", "guessing", "--tasks", "all", "--steps", "6", "--expert", "random"]
    assert main([*collect, "--out", str(tmp_path / "rollouts")]) == 0
    for task in ("ones", "tens"):
        store = RolloutStore(tmp_path / "rollouts" / task / "train.zarr")
        assert store.spec == Guessing().defaults() and store.steps == 8
    assert main([*collect, "--out", str(tmp_path / "none"), "--frame-skip", "3", "--tasks", "hundreds"]) == WRONG_USE
    assert "Unknown task 'hundreds'" in capsys.readouterr().err and not (tmp_path / "none").exists()
    score = ["expert", "score", "--domain", "guessing", "--expert", "random", "--episodes", "3"]
    assert main([*score, "--out", str(tmp_path / "scores.json")]) == 0
    table = json.loads((tmp_path / "scores.json").read_bytes())
    assert table["domain"] == "guessing" and list(table["levels"]) == ["ones", "tens"]
    assert table["command"].startswith("flexlam expert score --domain guessing --expert random")
    assert main(["levels", "--domain", "guessing"]) == 0 and "tens" in capsys.readouterr().out
