"""Learned experts and adapters in the caller's torch modes; an expert's weights are numbers."""

import numpy as np
import pytest
import torch

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 2, 64, 64, 3), np.uint8)
LEVEL = "rooms_exploit_deferred_effects_train"
MODES = {
    "plain": torch.no_grad,
    "inference": torch.inference_mode,
    "meta": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


@pytest.fixture(scope="module")
def expert_folder(tmp_path_factory):
    pytest.importorskip("sb3_contrib")
    from flexlam_rl.agents.experts.pixel.recurrent import Network, save_policy

    folder = tmp_path_factory.mktemp("expert")
    network = Network(LEVEL, lstm=8, features=16)
    torch.manual_seed(0)
    save_policy(folder, network, network.build(), {})
    return folder


def expert(folder):
    import gymnasium as gym

    import flexlam_rl  # noqa: F401
    from flexlam_rl.agents.experts.pixel.recurrent import LearnedExpert

    env = gym.make_vec("FlexLAM-DMLab-v0", num_envs=2, engine="litelab", level=LEVEL)
    return LearnedExpert(folder, env, np.float32(1.0), np.uint64(3))


def play(policy):
    state, told = None, []
    for frame in FRAMES:
        actions, state = policy.predict(frame, state)
        told += [actions, *state]
    return told


@pytest.mark.parametrize("mode", [*MODES, "float64", "bfloat16"])
def test_a_learned_expert_plays_the_same_in_every_mode(expert_folder, mode):
    expected = play(expert(expert_folder))
    before = torch.get_default_dtype()
    try:
        if mode not in MODES:
            torch.set_default_dtype(getattr(torch, mode))
        with MODES.get(mode, torch.no_grad)():
            torch.manual_seed(1)
            state = torch.get_rng_state()
            policy = expert(expert_folder)
            assert torch.equal(torch.get_rng_state(), state)
            told = play(policy)
    finally:
        torch.set_default_dtype(before)
    assert all(np.array_equal(a, b) for a, b in zip(told, expected, strict=True))


def test_a_learned_expert_of_no_numbers_is_refused(expert_folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "expert"
    shutil.copytree(expert_folder, folder)
    weights = load_file(folder / "policy.safetensors")
    name = next(iter(weights))
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, folder / "policy.safetensors")
    with pytest.raises(ValueError, match=f"tensor '{name}' holds NaN"):
        expert(folder)
    (folder / "policy.safetensors").write_bytes(b"none")
    with pytest.raises(ValueError, match="damaged"):
        expert(folder)


@pytest.mark.parametrize("mode", MODES)
def test_the_tensordict_module_in_every_mode(bundle_folder, mode):
    tensordict = pytest.importorskip("tensordict")
    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

    given = [torch.from_numpy(frame) for frame in FRAMES]
    expected = LatentActionPolicy.from_pretrained(bundle_folder, 2, deterministic=True)
    module = LatentActionPolicy.from_pretrained(bundle_folder, 2, deterministic=True).as_tensordict_module(
        codes="codes"
    )
    for frame in given:
        with MODES[mode]():
            out = module(tensordict.TensorDict({"pixels": frame}, batch_size=(2,), device="cpu"))
        assert out["action"].tolist() == expected(frame.numpy()).tolist()
        assert out["codes"].tolist() == expected.last.codes.tolist()
