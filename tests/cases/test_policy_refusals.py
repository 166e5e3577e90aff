"""What a policy cannot play with is refused at once, in one sentence that names it."""

import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import flexlam_rl  # noqa: F401
from flexlam_rl.agents.latent_space import LatentActionSpace, VectorLatentActionSpace
from flexlam_rl.agents.policy.bundle import Decoding, load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.models.flexlam.lam import LAM

LEVEL = "rooms_exploit_deferred_effects_train"
FRAME = np.zeros((2, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return load_bundle(bundle_folder)


def sentence(error, *words):
    text = str(error.value)
    assert len(text.splitlines()) == 1
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ["''"]),
        ("  ", ["expected a folder"]),
        ("/no/such/folder", ["no folder", "/no/such/folder"]),
        ("./nothing", ["no folder", "./nothing"]),
        ("../no/such/thing", ["no folder"]),
        (3, ["3", "expected a folder"]),
    ],
)
def test_names_that_are_nowhere(name, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for load in (LatentActionPolicy.from_pretrained, load_bundle, LAM.from_pretrained):
        with pytest.raises(ValueError) as error:
            load(name)
        sentence(error, *words)


def test_a_file_is_no_folder(bundle_folder):
    with pytest.raises(ValueError) as error:
        LatentActionPolicy.from_pretrained(bundle_folder / "config.json")
    sentence(error, "is a file")


@pytest.mark.parametrize("device", ["cuda", torch.device("cuda"), "cuda:7", "gpu", "meta", "", None, 1.5])
def test_devices_that_are_not_there(bundle_folder, device):
    if device in ("cuda", torch.device("cuda")) and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for load in (
        LatentActionPolicy.from_pretrained,
        lambda folder, device: LAM.from_pretrained(folder / "lam", device=device),
    ):
        with pytest.raises(ValueError) as error:
            load(bundle_folder, device=device)
        sentence(error, "device is")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["lam", "sequence", "translator"])
def test_weights_that_are_no_numbers(bundle_folder, tmp_path, part, number):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_folder, folder)
    weights = load_file(folder / part / "model.safetensors")
    name = sorted(weights)[-1]
    weights[name].view(-1)[0] = number
    save_file(weights, folder / part / "model.safetensors")
    with pytest.raises(ValueError) as error:
        LatentActionPolicy.from_pretrained(folder)
    sentence(error, name, "NaN or infinite", part)


def test_weights_of_a_type_that_would_be_rounded(bundle_folder, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_folder, folder)
    weights = load_file(folder / "lam" / "model.safetensors")
    save_file({**weights, "null": weights["null"].double()}, folder / "lam" / "model.safetensors")
    with pytest.raises(ValueError) as error:
        load_bundle(folder)
    sentence(error, "null", "float64")


def test_half_weights_that_would_become_infinite(bundle, tmp_path):
    import copy

    from flexlam_rl.agents.policy.bundling import write_bundle

    lam = copy.deepcopy(bundle.lam)
    lam.null.data[0] = 1e6
    with pytest.raises(ValueError) as error:
        write_bundle(
            tmp_path / "half",
            bundle.config,
            {"lam": lam, "sequence": bundle.sequence, "translator": bundle.translator},
            True,
        )
    sentence(error, "null", "float16")
    assert not list(tmp_path.iterdir())


class Other(gym.Env):
    """Frames and actions as told."""

    def __init__(self, image, actions):
        self.observation_space, self.action_space = image, actions


IMAGE = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "actions", "words"),
    [
        (IMAGE, gym.spaces.Discrete(2), ["Discrete(15)", "Discrete(2)"]),
        (IMAGE, gym.spaces.Discrete(15, start=1), ["Discrete(15)", "start=1"]),
        (IMAGE, gym.spaces.Box(-1, 1, (15,)), ["Discrete(15)", "Box"]),
        (IMAGE, gym.spaces.MultiDiscrete([3, 5]), ["Discrete(15)", "MultiDiscrete"]),
        (gym.spaces.Box(0, 255, (64, 64, 1), np.uint8), gym.spaces.Discrete(15), ["3 channels", "(64, 64, 1)"]),
        (gym.spaces.Box(0, 1, (64, 64, 3), np.float32), gym.spaces.Discrete(15), ["uint8", "float32"]),
        (gym.spaces.Box(0, 255, (84, 84, 3), np.uint8), gym.spaces.Discrete(15), ["(64, 64)", "(84, 84)"]),
        (gym.spaces.Box(-1, 1, (4,)), gym.spaces.Discrete(15), ["frames", "(4,)"]),
        (gym.spaces.Dict({"camera": IMAGE}), gym.spaces.Discrete(15), ["frames", "camera"]),
    ],
)
def test_environments_with_other_actions_or_frames(bundle, image, actions, words):
    policy = LatentActionPolicy(bundle)
    for env in (Other(image, actions), gym.vector.SyncVectorEnv([lambda: Other(image, actions)] * 2)):
        for check in (policy.check, lambda e: policy.check(e, any_look=True)):
            with pytest.raises(ValueError) as error:
                check(env)
            assert all(word in str(error.value) for word in words), error.value
    policy.check(Other(IMAGE, gym.spaces.Discrete(15)))
    policy.check(Other(gym.spaces.Dict({"RGB_INTERLEAVED": IMAGE}), gym.spaces.Discrete(15)))


def test_wrappers_that_change_the_spaces_count(bundle):
    policy = LatentActionPolicy(bundle)
    env = gym.make("FlexLAM-DMLab-v0", engine="litelab")
    with pytest.raises(ValueError, match=r"Discrete\(2\)"):
        policy.check(gym.wrappers.TransformAction(env, lambda a: a, gym.spaces.Discrete(2)))
    with pytest.raises(ValueError, match=r"\(64, 64\); the environment has \(64, 32\)"):
        policy.check(
            gym.wrappers.TransformObservation(env, lambda o: o[:, :32], gym.spaces.Box(0, 255, (64, 32, 3), np.uint8))
        )
    env.close()


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (np.full((64, 64, 3), np.nan), ["float64"]),
        (np.full((64, 64, 3), np.inf, np.float32), ["float32"]),
        (np.zeros((64, 64, 3), np.int64), ["int64"]),
        (np.zeros((64, 64), np.uint8), ["(64, 64)"]),
        (np.zeros((64, 64, 1), np.uint8), ["(64, 64, 1)"]),
        (np.zeros((0, 64, 64, 3), np.uint8), ["no frames"]),
        ({"camera": FRAME}, ["'camera'", "'RGB_INTERLEAVED'"]),
        ({}, ["'RGB_INTERLEAVED'"]),
        (None, ["object"]),
        ("frame", ["<U5"]),
        ([[1, 2], [3]], ["object"]),
    ],
)
def test_observations_that_are_no_frames(bundle, observation, words):
    policy = LatentActionPolicy(bundle)
    for decide in (policy, policy.predict):
        with pytest.raises(ValueError) as error:
            decide(observation)
        sentence(error, *words)


def test_another_batch_size_in_mid_episode_changes_nothing(bundle):
    policy, untouched = (LatentActionPolicy(bundle, deterministic=True) for _ in range(2))
    policy(FRAME)
    untouched(FRAME)
    policy.reset([True, False])
    untouched.reset([True, False])
    with pytest.raises(ValueError) as error:
        policy(np.zeros((3, 64, 64, 3), np.uint8))
    sentence(error, "3 observations", "2 environments", "reset()")
    assert np.array_equal(policy(FRAME), untouched(FRAME))
    assert np.array_equal(policy.last.codes, untouched.last.codes)


def test_states_that_are_not_this_policys(bundle, make_bundle_folder, tmp_path):
    policy = LatentActionPolicy(bundle)
    other = LatentActionPolicy.from_pretrained(make_bundle_folder(tmp_path / "other", seed=3))
    for state in (
        {},
        (1, 2),
        np.zeros(2),
        other.predict(FRAME)[1],
        LatentActionPolicy(bundle, chunk=1).predict(FRAME)[1],
    ):
        with pytest.raises(ValueError) as error:
            policy.predict(FRAME, state)
        sentence(error, "state")


@pytest.mark.parametrize(
    "options",
    [
        {"chunk": 0},
        {"chunk": True},
        {"chunk": 1.5},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"cache": torch.int8},
        {"cache": "bf16"},
        {"deterministic": "no"},
    ],
)
def test_options_out_of_range(bundle, options):
    with pytest.raises(ValueError) as error:
        LatentActionPolicy(bundle, **options)
    sentence(error, *options)


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1}, {"temperature": float("nan")}, {"action_temperature": "1"}, {"context": 1}, {"context": 2.5}],
)
def test_decoding_out_of_range(options):
    with pytest.raises(ValueError) as error:
        Decoding(**options)
    sentence(error, *options)


def test_a_cache_that_is_none(bundle_folder):
    env = gym.make("FlexLAM-DMLab-v0", engine="litelab")
    with pytest.raises(ValueError, match="cache is 'fp16'; expected 'fp32' or 'bf16'"):
        Player("flexlam", bundle_folder, cache="fp16").make(env)
    env.close()


def test_numbers_of_numpy_are_numbers(bundle):
    decoding = Decoding(np.float32(0.5), np.float64(0), np.int64(4))
    policy = LatentActionPolicy(
        bundle, np.int64(2), deterministic=np.bool_(False), decoding=decoding, seed=np.uint64(3), chunk=np.int16(16)
    )
    plain = LatentActionPolicy(bundle, 2, deterministic=False, decoding=Decoding(0.5, 0.0, 4), seed=3, chunk=16)
    assert np.array_equal(policy(FRAME), plain(FRAME))
    assert np.array_equal(policy.last.codes, plain.last.codes)
    policy.budget = np.array([1, 2], np.uint8)
    assert policy(FRAME).shape == (2,)
    codes = torch.zeros(2, 4, dtype=torch.long)
    frames = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    assert torch.equal(bundle.lam.keep_prefix(codes, np.int64(2)), bundle.lam.prefix_slots(codes, 2))
    assert bundle.lam.decode(frames, codes, np.int32(2), np.int64(1), torch.Generator()).shape == frames.shape


def test_a_latent_action_model_refuses_what_is_no_input(bundle):
    lam, frames, codes = bundle.lam, torch.zeros(2, 3, 64, 64), torch.zeros(2, 4, dtype=torch.long)
    for wrong in (frames + torch.nan, frames + 200, frames[:, :1], frames[0], frames[..., :32], frames.long()):
        with pytest.raises(ValueError) as error:
            lam.encode(wrong, frames)
        sentence(error, "rames")
        with pytest.raises(ValueError):
            lam.decode(wrong, codes, 2)
    with pytest.raises(ValueError):
        lam.encode(frames, frames[:1])
    for lengths in (-1, 5, 1.5, True, torch.tensor([1.0, 2.0]), torch.tensor([0, 5])):
        with pytest.raises(ValueError):
            lam.keep_prefix(codes, lengths)
    for wrong in (codes.float(), codes.bool(), codes - 1, torch.zeros(2, 5, dtype=torch.long)):
        with pytest.raises(ValueError):
            lam.keep_prefix(wrong, 1)


def test_latent_actions_do_not_copy_their_policy(bundle, bundle_folder):
    """The wrapper's record names the folder, from which the same environment can be made."""
    import copy

    policy = LatentActionPolicy(bundle, 3, deterministic=True)
    env = LatentActionSpace(gym.make("FlexLAM-DMLab-v0", engine="litelab", level=LEVEL), policy)
    record = env.spec.additional_wrappers[-1].kwargs
    assert record == {"policy": str(bundle_folder.resolve()), "budget": 3, "any_look": False}
    assert env.spec.to_json()
    again = gym.make(env.spec)
    assert again.get_wrapper_attr("action_space") == env.action_space
    env.reset(seed=1)
    env.step([1, 2, 3])
    copied = copy.deepcopy(env._translate)
    assert copied.policy is policy
    observation = env._observation
    assert np.array_equal(copied([[4, 5, 6]], observation), env._translate([[4, 5, 6]], observation))
    copied.reset()
    assert (env._translate._previous != -1).all()
    env.close()
    again.close()


@pytest.mark.parametrize("budget", [[1, 2], np.array([1, 2])])
def test_latent_actions_need_one_budget(bundle, budget):
    env = gym.make_vec("FlexLAM-DMLab-v0", num_envs=2, engine="litelab", level=LEVEL)
    with pytest.raises(ValueError, match=r"\[1, 2\].*budget=K"):
        VectorLatentActionSpace(env, LatentActionPolicy(bundle), budget)
    with pytest.raises(ValueError, match=r"\[1, 2\].*budget=K"):
        VectorLatentActionSpace(env, LatentActionPolicy(bundle, budget))
    env.close()
