"""Learned experts at toy size: training runs, resumes, keeps its best policy in safe files, and plays for the
recorder.
"""

import json
import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sb3_contrib")

from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.recurrent import LearnedExpert
from flexlam_rl.agents.experts.pixel.training import train
from flexlam_rl.cli import main
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.validate import validate
from flexlam_rl.datasets.writer import store_path
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv

LEVEL = "rooms_exploit_deferred_effects_train"
TOY = {
    "num_envs": 2,
    "rollout": 16,
    "evaluate_every": 32,
    "evaluation_episodes": 1,
    "lstm": 8,
    "features": 8,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    assert train(Recipe(level=LEVEL, steps=32, **TOY), out) == out / "best"
    said: list[str] = []
    train(Recipe(level=LEVEL, steps=64, **TOY), out, said.append)
    assert said[0] == "Resumed at 32 steps."
    return out


def test_what_a_run_leaves(run: Path) -> None:
    curve = [json.loads(line) for line in (run / "curve.jsonl").read_text().splitlines()]
    assert [point["steps"] for point in curve] == [32, 64]
    best = json.loads((run / "best" / "config.json").read_text())
    assert best["return"] == max(point["return"] for point in curve)
    assert list((run / "tensorboard").glob("events*"))
    kinds = {file.suffix for file in run.rglob("*") if file.is_file() and "tfevents" not in file.name}
    assert kinds == {".safetensors", ".json", ".jsonl"}


def test_the_curve_is_drawn(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["expert", "plot", str(run), "-o", str(tmp_path / "a.png")]) == 0
    first = np.asarray(Image.open(tmp_path / "a.png"))
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    curve = copy / "curve.jsonl"
    with open(curve, "a") as file:
        file.write(json.dumps({"steps": 96, "return": 30.0, "standard_error": 2.0, "returns": [30.0]}) + "\n")
    assert main(["expert", "plot", str(copy), "-o", str(tmp_path / "b.png")]) == 0
    assert (first != np.asarray(Image.open(tmp_path / "b.png"))).any()  # another point, another picture
    for bad, words in (
        ([str(tmp_path), "-o", "c.png"], "holds no evaluated training run"),
        ([str(run), "-o", "c.gif"], "ends in .png"),
    ):
        assert main(["expert", "plot", *bad]) == 2
        said = capsys.readouterr().err
        assert words in said and len(said.strip().splitlines()) == 1


def test_a_resumed_run_has_weights_and_optimiser_of_the_first(run: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    train(Recipe(level=LEVEL, steps=32, **TOY), tmp_path)
    before = load_file(tmp_path / "state.safetensors")
    train(Recipe(level=LEVEL, steps=32, **TOY), tmp_path)  # nothing left to do
    assert all((value == load_file(tmp_path / "state.safetensors")[name]).all() for name, value in before.items())
    steps = [value for name, value in load_file(run / "state.safetensors").items() if name.endswith(".step")]
    first = [value for name, value in before.items() if name.endswith(".step")]
    assert steps and all((two == 2 * one).all() for one, two in zip(first, steps, strict=True))


def test_another_recipe_is_refused(run: Path) -> None:
    with pytest.raises(ValueError, match="lstm 8, the command says 16"):
        train(Recipe(level=LEVEL, steps=64, **{**TOY, "lstm": 16}), run)


def test_prediction_for_one_and_for_many(run: Path) -> None:
    env = DMLabEnv(LEVEL, "litelab")
    many = DMLabVectorEnv([LEVEL] * 3, autoreset_mode="Disabled")
    one, all_of_them = LearnedExpert(run / "best", env), LearnedExpert(run / "best", many)
    observation, _ = env.reset(seed=0)
    action, _ = one.predict(observation, deterministic=True)
    assert env.action_space.contains(action)
    seen, _ = many.reset(seed=0)
    actions, states = all_of_them.predict(seen, deterministic=True)
    assert actions.shape == (3,) and actions[0] == action
    # channels first, and a state that an episode's start clears
    again, later = all_of_them.predict(
        np.moveaxis(seen, -1, 1), states, np.array([True, True, False]), deterministic=True
    )
    assert again[:2].tolist() == actions[:2].tolist()
    assert np.allclose(later[0][:, :2], states[0][:, :2], atol=1e-6)
    assert not np.allclose(later[0][:, 2], states[0][:, 2], atol=1e-6)
    # draws depend on the episode's seed alone
    all_of_them.begin_episodes(np.arange(3), np.array([5, 6, 5]))
    same = np.repeat(observation[None], 3, 0)
    drawn = np.array([all_of_them.predict(same)[0] for _ in range(40)])
    assert (drawn[:, 0] == drawn[:, 2]).all() and (drawn[:, 0] != drawn[:, 1]).any()


def test_another_environment_is_refused(run: Path) -> None:
    with pytest.raises(ValueError, match="frame skip 4, the environment has 8"):
        LearnedExpert(run / "best", DMLabEnv(LEVEL, "litelab", frame_skip=8))
    with pytest.raises(ValueError, match=r"frame size \(64, 64\), the environment has \(32, 32\)"):
        LearnedExpert(run / "best", DMLabEnv(LEVEL, "litelab", width=32, height=32))
    with pytest.raises(ValueError, match="action set 'dreamer15', the environment has 'impala9'"):
        LearnedExpert(run / "best", DMLabEnv(LEVEL, "litelab", action_set="impala9"))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_takes_a_batch_of_processes_of_the_real_engine(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "envs"))
    import stand_in

    stand_in.install(monkeypatch, tmp_path)
    monkeypatch.setenv("FLEXLAM_CACHE_DIR", str(tmp_path))
    env = gym.make_vec("FlexLAM-DMLab-v0", num_envs=2, level=LEVEL, engine="deepmind_lab")
    try:
        actions, _ = LearnedExpert(run / "best", env).predict(env.reset(seed=0)[0])
        assert env.action_space.contains(actions)
    finally:
        env.close()


def test_the_recorder_plays_it(run: Path, tmp_path: Path) -> None:
    command = [
        "collect",
        "--out",
        str(tmp_path),
        "--steps",
        "1",
        "--level",
        LEVEL,
        "--engine",
        "litelab",
        "--expert",
        f"learned:{run / 'best'}",
    ]
    assert main(command) == 0
    store = RolloutStore(store_path(tmp_path, LEVEL, "train"))
    assert validate(store.path).good
    assert store.origin.policy == f"learned:{run / 'best'}"
