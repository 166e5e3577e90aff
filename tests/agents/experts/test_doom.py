"""The scripted expert of ViZDoom: it plays far above random, and its presence changes no frame."""

from typing import Any

import numpy as np
import pytest

from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.rollout import Start, Tally, in_order, play_episodes
from flexlam_rl.envs.domain import find_domain

pytest.importorskip("vizdoom", reason="the extra `vizdoom` is not installed")

DOOM = find_domain("vizdoom")
SPEC = DOOM.defaults()


def returns(task: str, expert: str, episodes: int, temperature: float = 0.0) -> list[float]:
    env = DOOM.make_vec([task] * 3, SPEC, evaluation=True)
    try:
        policy = make_expert(expert, env, temperature)
        played = play_episodes(env, policy, in_order([Start(i, 100 + i) for i in range(episodes)]), Tally)
        totals = {key: tally.total for key, tally in played}
    finally:
        env.close()
    return [totals[i] for i in range(episodes)]


@pytest.mark.parametrize(("task", "least"), [("basic", 50.0), ("defend_the_center", 8.0), ("health_gathering", 700.0)])
def test_it_plays_well(task: str, least: float) -> None:
    assert np.mean(returns(task, "scripted", 3)) > least > np.mean(returns(task, "random", 3))


def test_an_episode_depends_on_the_seeds_alone() -> None:
    played = returns("deadly_corridor", "scripted", 4, temperature=1.0)
    assert played == returns("deadly_corridor", "scripted", 4, temperature=1.0)
    assert played[3:] != played[:1]


def test_what_it_reads_is_not_seen() -> None:
    frames: list[Any] = []
    for watched in (False, True):
        env = DOOM.make("predict_position", SPEC)
        if watched:
            make_expert("scripted", env)
        seen = [env.reset(options={"episode_seed": 3})[0], *(env.step(action)[0] for action in (1, 7, 7, 10, 5))]
        frames.append(np.stack(seen))
        if watched:
            assert {"Cacodemon"} == {thing.name for thing in env.unwrapped.in_view() if thing.kind == "Monster"}
        else:
            with pytest.raises(RuntimeError, match="after the first reset"):
                make_expert("scripted", env)
        env.close()
    assert np.array_equal(*frames)


def test_refusals() -> None:
    env = DOOM.make("basic", SPEC)
    with pytest.raises(ValueError, match="takes no argument, got '30'"):
        make_expert("scripted:30", env)
    with pytest.raises(ValueError, match="temperature"):
        make_expert("scripted", env, temperature=-1.0)
