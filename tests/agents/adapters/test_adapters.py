"""Adapters for other libraries: the same decisions as `predict` gives."""

import numpy as np
import pytest

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

LEVEL = "rooms_exploit_deferred_effects_train"


@pytest.fixture
def policy(bundle_folder):
    return LatentActionPolicy(load_bundle(bundle_folder), 2, deterministic=True)


def test_tensordict_module(policy, bundle_folder):
    pytest.importorskip("tensordict")
    import torch
    from tensordict import TensorDict

    frames = np.random.default_rng(0).integers(0, 256, (8, 4, 64, 64, 3), np.uint8)
    starts = np.zeros((8, 4), bool)
    starts[0] = starts[5, 2] = True
    reference, state, expected = LatentActionPolicy(load_bundle(bundle_folder), 2, deterministic=True), None, []
    for frame, start in zip(frames, starts, strict=True):
        actions, state = reference.predict(frame, state, start)
        expected.append((actions, reference.last.codes))
    module = policy.as_tensordict_module(codes=("info", "codes"))
    assert module.in_keys == ["pixels"]
    assert module.out_keys == ["action", ("info", "codes")]
    for shape in ((4,), (2, 2)):
        module.reset()
        for t, (frame, start) in enumerate(zip(frames, starts, strict=True)):
            given = {
                "pixels": torch.from_numpy(frame.copy()).reshape(*shape, 64, 64, 3),
                "is_init": torch.from_numpy(start.copy()).reshape(*shape, 1),
            }
            out = module(TensorDict(given, batch_size=shape))
            assert np.array_equal(out["action"].reshape(-1).numpy(), expected[t][0])
            assert np.array_equal(out["info", "codes"].reshape(4, -1).numpy(), expected[t][1])
    one_hot = policy.as_tensordict_module(one_hot=True)
    out = one_hot(TensorDict({"pixels": torch.from_numpy(frames[0])}, batch_size=(4,)))
    assert out["action"].shape == (4, 15)
    assert np.array_equal(out["action"].argmax(-1).numpy(), expected[0][0])


def test_torchrl_rollout(policy):
    """In TorchRL's own loop, over an episode's end."""
    pytest.importorskip("torchrl")
    import gymnasium as gym
    from torchrl.envs import GymWrapper, InitTracker, TransformedEnv

    import flexlam_rl  # noqa: F401

    env = GymWrapper(gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL, frame_skip=60), pixels_only=True)
    env = TransformedEnv(env, InitTracker())
    env.set_seed(0)
    keys = {"observation": "observation"} if "observation" in env.observation_spec.keys() else {}  # noqa: SIM118
    rollout = env.rollout(80, policy.as_tensordict_module(one_hot=True, **keys), break_when_any_done=False)
    assert rollout["is_init"].sum() >= 2
    assert rollout["action"].sum(-1).eq(1).all()


def test_tianshou_policy(policy, bundle_folder):
    """A collection over four environments, of which fewer and fewer are left: each episode is what `predict` alone
    plays.
    """
    pytest.importorskip("tianshou")
    import gymnasium as gym
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv

    import flexlam_rl  # noqa: F401

    def make():
        return gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL, frame_skip=60)

    envs = DummyVectorEnv([make for _ in range(3)])
    envs.seed([4, 5, 6])
    adapter = policy.as_tianshou_policy(make().action_space)
    buffer = VectorReplayBuffer(2000, 3)
    collector = Collector(adapter, envs, buffer)
    collector.reset()
    stats = collector.collect(n_episode=5)
    assert stats.n_collected_episodes == 5
    reference = LatentActionPolicy(load_bundle(bundle_folder), 2, deterministic=True)
    seen, state, start = buffer[:], None, True
    for row in range(len(seen)):
        action, state = reference.predict(np.asarray(seen.obs[row]), state, np.array([start]))
        assert action == seen.act[row], row
        start = bool(seen.done[row])
