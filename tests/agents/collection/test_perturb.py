"""Perturbed collections: bursts of random steps that are marked, after which the expert carries on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flexlam_rl.agents.collection.perturb import LONGEST, SHORTEST, Perturbed
from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.collection.workers import play_keys
from flexlam_rl.agents.environments import make_single
from flexlam_rl.agents.experts.pixel.network import PixelConfig, PixelNetwork
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.cli import main
from flexlam_rl.datasets.marks import expert_chose
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import store_path
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec

MAZE = "explore_goal_locations_small"


@pytest.fixture(scope="module")
def pixel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pixel expert with random weights whose previous action and memory matter."""
    torch.manual_seed(0)
    spec = find_domain("dmlab").resolve(EnvSpec(frame_skip=30))
    network = PixelNetwork(PixelConfig(15, (MAZE,), spec, 8, 4))
    with torch.no_grad():
        network.policy.weight *= 60
        network.previous.weight *= 3
    folder = tmp_path_factory.mktemp("pixel")
    network.save_pretrained(folder)
    return f"pixel:{folder}"


@pytest.mark.parametrize("kind", ["reactive", "scripted", "pixel"])
def test_the_expert_carries_on_from_what_was_really_done(kind: str, pixel: str) -> None:
    name = pixel if kind == "pixel" else kind
    spec = EnvSpec(frame_skip=30) if kind == "pixel" else EnvSpec(frame_skip=30, width=16, height=16)
    settings = Settings(name, seed=1, spec=find_domain("dmlab").resolve(spec), perturb=0.3)
    played = play_keys(settings, MAZE, "train", [0] if kind == "pixel" else [0, 1, 2])
    chosen = np.concatenate([episode.extra["expert_chose"][:-1] for episode in played])
    assert 0.15 < 1 - chosen.mean() < 0.45
    lengths = []
    for marks in (episode.extra["expert_chose"][:-1] for episode in played):
        runs = np.split(marks, np.flatnonzero(np.diff(marks)) + 1)[1:-1]
        lengths += [len(run) for run in runs if not run[0]]
    assert min(lengths) >= SHORTEST and max(lengths) <= LONGEST and len(set(lengths)) > 3

    episode = played[-1]
    assert episode.action is not None
    env = make_single(settings.spec, MAZE)
    expert = make_expert(name, env, 1.0, settings.seed)
    if hasattr(expert, "begin_episodes"):
        expert.begin_episodes(np.array([0]), np.array([episode.seed]))
    observation, _ = env.reset(options={"episode_seed": episode.seed})
    state, own = None, 0
    for t, action in enumerate(episode.action):
        wanted, state = expert.predict(observation, state, np.array([t == 0]), False)
        if episode.extra["expert_chose"][t]:
            assert wanted == action, t
        else:
            own += wanted == action
            if hasattr(expert, "took"):
                expert.took(np.array([action]))
        observation = env.step(int(action))[0]
    assert own < 0.5 * (~episode.extra["expert_chose"]).sum()  # what chance did is not what the expert wanted
    env.close()


def collect(out: Path, *options: str) -> RolloutStore:
    small = ["--frame-skip", "30", "--width", "16", "--height", "16", "--engine", "litelab"]
    assert main(["collect", "--out", str(out), "--tasks", MAZE, *small, "--perturb", "0.2", *options]) == 0
    return RolloutStore(store_path(out, MAZE, "train"))


def test_continued_in_parts_and_with_another_batch_it_is_the_same(tmp_path: Path) -> None:
    whole = collect(tmp_path / "whole", "--steps", "500", "--expert", "reactive")
    for steps, envs in ((1, 1), (200, 3), (500, 7)):
        parts = collect(tmp_path / "parts", "--steps", str(steps), "--num-envs", str(envs), "--expert", "reactive")
    assert parts.digest == whole.digest
    marks = expert_chose(whole)
    assert marks is not None and not marks.all()
    np.testing.assert_array_equal(expert_chose(parts), marks)
    assert whole.origin.policy_params == {"temperature": 1.0, "perturb": 0.2}
    assert marks[whole.column("action").whole() < 0].all()  # no action, no mark


def test_what_cannot_be_perturbed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin = ["collect", "--out", str(tmp_path / "out"), "--tasks", MAZE, "--steps", "10", "--engine", "litelab"]
    for options, words in (
        (["--perturb", "0.95"], "a share of random steps up to 0.9, got 0.95"),
        (["--perturb", "-0.1"], "a share of random steps up to 0.9, got -0.1"),
        (["--perturb", "nan"], "a share of random steps up to 0.9, got nan"),
        (["--perturb", "0.1", "--expert", "reactive", "--action-set", "native7"], "notes its actions by number"),
    ):
        assert main([*begin, *options]) == 2
        said = capsys.readouterr().err.strip()
        assert words in said and "\n" not in said
    assert not list(tmp_path.glob("**/frames"))
    with pytest.raises(ValueError, match="perturb is 0"):
        Perturbed(object(), make_single(EnvSpec(engine="litelab"), MAZE), 0)
