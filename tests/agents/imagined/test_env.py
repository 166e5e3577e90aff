"""Imagined environments: Gymnasium's contract, episodes that their seed and actions determine, batches of singles."""

import copy
import hashlib

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import flexlam_rl  # noqa: F401
from flexlam_rl.agents.imagined.env import ImaginedEnv
from flexlam_rl.agents.imagined.vector import ImaginedVectorEnv, make_vector
from flexlam_rl.envs.errors import InvalidAction, ResetNeeded
from flexlam_rl.models.systems import load_slot_model

ID = "FlexLAM-Imagined-v0"
MODES = ("NextStep", "SameStep", "Disabled")


def real(bundle_folder, rollouts, **options):
    """Options of an environment that a random bundle imagines."""
    return {"model": str(bundle_folder), "starts": str(rollouts), "decode_steps": 2, "horizon": 3, **options}


def played(env, seed, steps, rng):
    """Frames, rewards and truncations of an episode, and the actions."""
    frames, actions, rewards, ends = [env.reset(seed=seed)[0]], [], [], []
    for _ in range(steps):
        actions.append(rng.integers(0, env.action_space.nvec))
        frame, reward, terminated, truncated, _ = env.step(actions[-1])
        assert not terminated
        frames.append(frame)
        rewards.append(reward)
        ends.append(truncated)
    return np.stack(frames), np.array(rewards), ends, np.stack(actions)


def test_it_passes_gymnasiums_check(bundle_folder, rollouts):
    env = gym.make(ID, render_mode="rgb_array", **real(bundle_folder, rollouts, budget=2))
    check_env(env.unwrapped)
    assert env.action_space == gym.spaces.MultiDiscrete(env.action_space.nvec) and env.action_space.shape == (2,)
    _, info = env.reset(seed=0)
    assert info["engine"] == "imagined" and info["reward"] == "none" and not info["map_reset"]
    assert env.render().shape == (256, 256, 3)


def test_frames_are_those_of_the_models_rollout(bundle_folder, rollouts):
    env = ImaginedEnv(**real(bundle_folder, rollouts, budget=2))
    frames, rewards, ends, actions = played(env, 3, 3, np.random.default_rng(0))
    assert ends == [False, False, True] and not rewards.any()
    lam = load_slot_model(bundle_folder / "lam")
    stream = torch.Generator().manual_seed(env.reset(seed=3)[1]["episode_seed"])
    context = torch.from_numpy(frames[:1]).movedim(-1, 1)[None]
    made = lam.rollout(context, torch.from_numpy(actions)[None], [stream], 2)
    assert np.array_equal(made[0].movedim(1, -1).numpy(), frames[1:])
    assert np.ptp(frames[1:].astype(int)) > 0


def test_an_episode_is_the_same_in_every_process(toy):
    frames, rewards, _, actions = played(ImaginedEnv(**toy), 11, 5, np.random.default_rng(0))
    told = hashlib.sha256(frames.tobytes() + rewards.tobytes() + actions.astype("<i8").tobytes()).hexdigest()
    # of integers alone, and so the same on every machine
    assert told[:16] == "b756ef80992b351c"


def test_what_led_to_a_frame_counts_with_the_next(toy):
    env = ImaginedEnv(**toy)
    at, rewards = int(env.reset(options={"episode_seed": 2})[0][0, :, 0].argmax()), []
    assert at == 2
    for action, step in (([1, 0], 1), ([1, 3], 2), ([0, 1], 1), ([0, 0], 0)):
        frame, reward, *_ = env.step(action)
        at = (at + step) % 8
        assert int(frame[0, :, 0].argmax()) == at and reward == float(at == 5)
        rewards.append(reward)
    assert rewards == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_plays_what_its_environments_play_alone(toy, mode):
    batch = ImaginedVectorEnv(3, autoreset_mode=mode, **toy)
    alone = [ImaginedEnv(**toy) for _ in range(3)]
    rng = np.random.default_rng(1)
    frames, infos = batch.reset(seed=7)
    shown = [env.reset(seed=7 + i) for i, env in enumerate(alone)]
    assert [info["episode_seed"] for _, info in shown] == infos["episode_seed"].tolist()
    over = np.zeros(3, bool)
    for step in range(13):
        if step in (2, 9):  # one of them begins anew in the middle
            mask = np.array([False, True, False])
            frames, _ = batch.reset(options={"reset_mask": mask, "episode_seeds": [None, 40 + step, None]})
            assert np.array_equal(frames[1], alone[1].reset(options={"episode_seed": 40 + step})[0])
            over[1] = False
        if mode == "Disabled" and over.any():
            with pytest.raises(ResetNeeded, match="reset environments"):
                batch.step(np.zeros((3, 2), int))
            frames, _ = batch.reset(options={"reset_mask": over})
            for i in np.flatnonzero(over):
                assert np.array_equal(alone[i].reset()[0], frames[i])
            over[:] = False
        actions = rng.integers(0, 4, (3, 2))
        frames, rewards, terminated, truncated, infos = batch.step(actions)
        for i, env in enumerate(alone):
            if mode == "NextStep" and over[i]:
                frame, reward, end = env.reset()[0], 0.0, False
            else:
                frame, reward, _, end, _ = env.step(actions[i])
                if end and mode == "SameStep":
                    assert np.array_equal(infos["final_obs"][i], frame)
                    frame = env.reset()[0]
            assert np.array_equal(frame, frames[i]) and reward == rewards[i] and end == truncated[i]
        over = np.zeros(3, bool) if mode == "SameStep" else truncated
        assert not terminated.any()


def test_with_a_chunk_a_real_model_imagines_the_same_in_a_batch(bundle_folder, rollouts):
    options = real(bundle_folder, rollouts, chunk=16)
    batch, alone = make_vector(3, **options), ImaginedEnv(**options)
    frames = [batch.reset(seed=5)[0]]
    actions = np.random.default_rng(0).integers(0, batch.single_action_space.nvec, (2, 3, 4))
    frames += [batch.step(action)[0] for action in actions]
    assert np.array_equal(alone.reset(seed=7)[0], frames[0][2])
    for action, expected in zip(actions, frames[1:], strict=True):
        assert np.array_equal(alone.step(action[2])[0], expected[2])


@pytest.mark.parametrize("count", [None, 3])
def test_a_copy_goes_on_as_the_environment_does_and_leaves_it_alone(toy, count):
    env = ImaginedEnv(**toy) if count is None else ImaginedVectorEnv(count, **toy)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    env.step(rng.integers(0, 4, env.action_space.shape))
    twin = copy.deepcopy(env)
    actions = rng.integers(0, 4, (8, *env.action_space.shape))
    first = [env.step(action)[0] if count or i < 4 else env.reset()[0] for i, action in enumerate(actions)]
    second = [twin.step(action)[0] if count or i < 4 else twin.reset()[0] for i, action in enumerate(actions)]
    assert np.array_equal(first, second) and twin.world is env.world


def test_native_actions_are_the_codes_that_labels_have_most_often(bundle_folder, rollouts):
    from flexlam_rl.agents.imagined.controls import action_codes
    from flexlam_rl.datasets import TransitionPairs, open_rollouts

    lam, data = load_slot_model(bundle_folder / "lam"), open_rollouts(rollouts)
    pairs = TransitionPairs(data, ("action",))
    read = pairs.read(np.arange(len(pairs)))
    frames = torch.from_numpy(read["frames"]).movedim(-1, -3)
    codes = lam.encode(frames[:, 0], frames[:, 1])[:, 0].numpy()
    table = action_codes(lam, data, 1, len(pairs))
    assert table.shape == (15, 1)
    for action, (code,) in enumerate(table):
        counts = np.bincount(codes[read["action"] == action])
        assert counts[code] == counts.max()
    with pytest.raises(ValueError, match="occurs in none of the 3 transitions"):
        action_codes(lam, data, 1, 3)
    options = real(bundle_folder, rollouts, budget=1, chunk=16)
    native, latent = ImaginedEnv(**options, actions="native"), ImaginedEnv(**options)
    assert native.action_space == gym.spaces.Discrete(15)
    assert np.array_equal(native.reset(seed=0)[0], latent.reset(seed=0)[0])
    assert np.array_equal(native.step(4)[0], latent.step(table[4])[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": 5}, "budget is 5; expected 1..2"),
        ({"budget": True}, "budget is True"),
        ({"actions": "other"}, "actions is 'other'; expected 'latent', 'native'"),
        ({"actions": "native"}, "starts must be rollouts"),
        ({"starts": "nowhere"}, "starts is 'nowhere'; expected a folder of rollouts, or the name of a level"),
        ({"reward": 3}, r"reward is 3; expected a model with reward\(frames\)"),
        ({"horizon": 0}, "horizon is 0"),
        ({"decode_steps": 4}, "decode_steps is 4; a Column has no such steps"),
        ({"render_mode": "human"}, "render_mode must be one of None, 'rgb_array'"),
        ({"model": "/nowhere"}, "There is no folder '/nowhere'"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(toy, options, said):
    with pytest.raises(ValueError, match=said):
        ImaginedEnv(**{**toy, **options})


def test_actions_and_calls_out_of_place_are_refused(toy):
    env = ImaginedEnv(**toy)
    with pytest.raises(ResetNeeded, match="before the first reset"):
        env.step([0, 0])
    env.reset(seed=0)
    for action, said in (([4, 0], "An action holds 4"), ([0], "shape"), ([0.0, 1.0], "float64"), ([-1, 0], "-1")):
        with pytest.raises(InvalidAction, match=said):
            env.step(action)
    for _ in range(5):
        env.step([0, 0])
    with pytest.raises(ResetNeeded, match="after the end of the episode"):
        env.step([0, 0])
    with pytest.raises(ValueError, match="options of reset"):
        env.reset(options={"level": 3})
    with pytest.raises(ValueError, match="`horizon` steps"):
        make_vector(2, max_episode_steps=9, **toy)
