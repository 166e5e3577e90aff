"""Learned experts, files of sb3-contrib's recurrent PPO from before there were pixel experts: they still play."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("sb3_contrib")

from flexlam_rl.agents.experts.pixel.recurrent import LearnedExpert
from flexlam_rl.cli import main
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.validate import validate
from flexlam_rl.datasets.writer import store_path
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv

LEVEL = "rooms_exploit_deferred_effects_train"


@pytest.fixture
def run(learned_expert_run: Path) -> Path:
    return learned_expert_run


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
