"""The reward head: rare rewards are learned, put right by their shares, and rewarded where they belong."""

import numpy as np
import pytest
import torch

from flexlam_rl.agents.imagined.rewards import make_rewards
from flexlam_rl.datasets import Episode, Origin, RolloutWriter, open_rollouts
from flexlam_rl.models.interfaces import RewardModel
from flexlam_rl.models.reward_head.model import RewardHead, RewardHeadConfig
from flexlam_rl.models.reward_head.stage import RewardHeadOptions, RewardPairs
from flexlam_rl.models.systems import load_model
from flexlam_rl.train.run_stage import train_stage


def episode(key, rewarded):
    """Noise, except that the frame after a rewarded step is bright."""
    rng = np.random.default_rng(key)
    frames = rng.integers(0, 60, (21, 40, 40, 3), dtype=np.uint8)
    reward = np.zeros(20, np.float32)
    for step in rewarded:
        frames[step + 1] += 150
        reward[step] = 10.0
    return Episode(frames, np.zeros(20, np.int16), reward, truncated=True, key=key)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("rewarded")
    origin = Origin(engine="synthetic", action_set="one", action_table=((0,) * 7,), action_hash="x")
    for split, keys in (("train", range(3)), ("test", range(8, 10))):
        with RolloutWriter(root, "maze", split, origin) as writer:
            writer.append_episodes([episode(key, [3, 11]) for key in keys])
    return root


def test_every_reward_is_drawn_as_often_and_the_cursor_comes_back(data):
    source = RewardPairs(open_rollouts(data), (0.0, 10.0), 64, 0)
    batch = source.next()
    assert 20 < batch["which"].sum() < 44
    bright = batch["next_obs"].reshape(64, -1).mean(1) > 100
    assert np.array_equal(bright, batch["which"] == 1)
    state, expected = source.state_dict(), source.next()
    source.load_state_dict(state)
    assert all(np.array_equal(values, expected[name]) for name, values in source.next().items())
    with pytest.raises(ValueError, match="No transition has one of the rewards"):
        RewardPairs(open_rollouts(data), (3.0,), 4, 0)


def test_it_learns_what_is_rewarded_and_an_environment_takes_it(data, tmp_path):
    train_stage("reward_head", RewardHeadOptions(data=data, out=tmp_path, preset="debug", steps=150))
    folder = tmp_path / "reward_head" / "last" / "reward_head"
    head = load_model(folder)
    assert isinstance(head, RewardModel) and head.config.values == (0.0, 10.0)
    assert head.config.shares == pytest.approx((0.9, 0.1))
    frames = torch.from_numpy(episode(20, [5]).frames).movedim(-1, 1)[None]
    found = head.reward(frames)[0]
    assert found[0] == 0 and int(found.argmax()) == 6 and found[6] > 5 > 2 > found[[4, 5, 9, 12]].max()
    rewards = make_rewards(folder)
    assert rewards.window == 2 and rewards.name == "RewardHead"
    assert torch.allclose(rewards(frames[:, 5:7]), found[6:7].double())


def test_predictions_are_put_right_by_how_often_rewards_occur():
    torch.manual_seed(0)
    heads = [
        RewardHead(RewardHeadConfig(40, first=2, hidden=4, values=(0.0, 10.0), shares=(1 - p, p))) for p in (0.5, 0.01)
    ]
    heads[1].load_state_dict(heads[0].state_dict())
    frames = torch.randint(0, 256, (1, 2, 3, 40, 40), dtype=torch.uint8)
    even, rare = (float(head.reward(frames)[0, 1]) / 10 for head in heads)
    assert rare / (1 - rare) == pytest.approx(even / (1 - even) * 0.01 / 0.99, rel=1e-4)


def test_rollouts_without_rewards_are_refused_before_anything_is_written(rollouts, tmp_path):
    with pytest.raises(ValueError, match="have the reward 0; there is nothing to learn"):
        train_stage("reward_head", RewardHeadOptions(data=rollouts, out=tmp_path / "run", preset="debug"))
    assert not (tmp_path / "run" / "reward_head").exists()
