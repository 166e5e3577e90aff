"""A policy decides the same whatever torch modes its caller has set, and leaves them as they are."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from flexlam_rl.agents.latent_space import Translation
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.translator import Translator, TranslatorConfig
from flexlam_rl.nn import threads

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 2, 64, 64, 3), np.uint8)


@contextmanager
def setting(get, put, value):
    before = get()
    put(value)
    try:
        yield
        assert get() == value, "the policy has changed a mode of its caller's"
    finally:
        put(before)


def dtype(value):
    return lambda: setting(torch.get_default_dtype, torch.set_default_dtype, value)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)


MODES = {
    "float64": dtype(torch.float64),
    "bfloat16": dtype(torch.bfloat16),
    "float16": dtype(torch.float16),
    "inference": torch.inference_mode,
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "meta": lambda: torch.device("meta"),
    "default_device": default_device,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "threads": lambda: setting(torch.get_num_threads, torch.set_num_threads, 2),
    "deterministic": lambda: setting(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    ),
    "precision": lambda: setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"),
}


def play(folder, load=MODES["no_grad"], step=MODES["no_grad"], rest=MODES["no_grad"]):
    """Everything that a policy and its models tell of a few steps, loaded, begun and gone on with in three modes."""
    told = []
    with load():
        policy = LatentActionPolicy.from_pretrained(folder, 3, deterministic=False)
        translation = Translation(policy, 2, 3)
    for t, frame in enumerate(FRAMES):
        with (step if t < 2 else rest)():
            if t == 3:
                policy.reset(np.array([False, True]))
                translation.reset(np.array([True, False]))
            told += [policy(frame), policy.last.codes, policy.last.probabilities, translation(policy.last.codes, frame)]
    first, second = (torch.from_numpy(np.moveaxis(frame, -1, 1).copy()) for frame in FRAMES[:2])
    generator = torch.Generator().manual_seed(0)
    with step():
        codes = policy.lam.encode(first, second)
        told += [codes, policy.lam.keep_prefix(codes, 2).detach(), policy.lam.decode(first, codes, 2, 2, generator)]
    return [np.asarray(part.numpy() if isinstance(part, torch.Tensor) else part) for part in told]


@pytest.fixture(scope="module")
def expected(bundle_folder):
    return play(bundle_folder)


@pytest.mark.parametrize("mode", MODES)
def test_all_in_one_mode(bundle_folder, expected, mode):
    for mine, other in zip(play(bundle_folder, *[MODES[mode]] * 3), expected, strict=True):
        assert np.array_equal(mine, other, equal_nan=True)


@pytest.mark.parametrize("mode", MODES)
def test_in_and_out_of_a_mode(bundle_folder, expected, mode):
    for places in ((mode, "no_grad", mode), ("no_grad", mode, "no_grad")):
        for mine, other in zip(play(bundle_folder, *(MODES[name] for name in places)), expected, strict=True):
            assert np.array_equal(mine, other, equal_nan=True)


def test_random_numbers_of_the_caller_are_neither_read_nor_used(bundle_folder, expected):
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        play(bundle_folder)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", ["float64", "bfloat16", "inference"])
def test_models_built_in_a_mode_can_be_trained(mode):
    """From the same first weights, too."""
    sizes = PRESETS["debug"]
    for build in (
        lambda: LAM(sizes.lam),
        lambda: SequenceModel(sizes.sequence),
        lambda: Translator(TranslatorConfig(slots=4, hidden=8, wide=8, depth=1)),
    ):
        torch.manual_seed(0)
        plain = build()
        torch.manual_seed(0)
        with MODES[mode]():
            model = build()
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
        sum(parameter.sum() for parameter in model.parameters() if parameter.requires_grad).backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
    frames = torch.from_numpy(np.moveaxis(FRAMES[:2], -1, 2).copy())
    with MODES[mode]():
        lam = LAM(sizes.lam)
    lam(frames[0], frames[1], torch.Generator().manual_seed(0)).loss.backward()
    assert all(
        torch.equal(a, b) for a, b in zip(lam.quantizer.buffers(), LAM(sizes.lam).quantizer.buffers(), strict=True)
    )


def test_a_state_copied_in_inference_mode_is_gone_on_with_outside(bundle_folder):
    import copy

    policy = LatentActionPolicy.from_pretrained(bundle_folder, 3, deterministic=True)
    policy(FRAMES[0])
    _, state = policy.predict(FRAMES[0])
    with torch.inference_mode():
        copied, other = copy.deepcopy(state), copy.deepcopy(policy)
    assert np.array_equal(policy.predict(FRAMES[1], state)[0], policy.predict(FRAMES[1], copied)[0])
    assert np.array_equal(policy(FRAMES[1]), other(FRAMES[1]))


def test_few_rows_are_computed_in_one_thread_and_no_other_thread_notices(bundle_folder, monkeypatch):
    policy = LatentActionPolicy.from_pretrained(bundle_folder, 2)
    seen = []

    def look(*_):
        other = threading.Thread(target=lambda: seen.append(("other", torch.get_num_threads())))
        other.start()
        other.join()
        seen.append(("own", torch.get_num_threads()))

    policy.lam.encoder.register_forward_hook(look)
    with MODES["threads"]():
        policy(FRAMES[0])
        policy(FRAMES[1])
        assert seen == [("other", 2), ("own", 1)]
        seen.clear()
        monkeypatch.setattr(threads, "WORK", 1)
        policy(FRAMES[2])
        assert seen == [("other", 2), ("own", 2)]


def test_a_forked_process_plays_on(bundle_folder):
    """OpenMP's threads do not come along: torch alone waits for them for ever."""
    script = """
import os, sys, numpy as np, torch
from concurrent.futures import ThreadPoolExecutor
from flexlam_rl import LatentActionPolicy
from flexlam_rl.nn import threads
torch.set_num_threads(2)
threads.WORK = 1
policy = LatentActionPolicy.from_pretrained(sys.argv[1], 2, deterministic=True, chunk=1, executor=ThreadPoolExecutor(2))
frames = np.random.default_rng(0).integers(0, 256, (3, 2, 64, 64, 3), np.uint8)
policy(frames[0])
torch.randn(700, 700) @ torch.randn(700, 700)
child = os.fork()
print(policy(frames[1]).tolist(), policy(frames[2]).tolist(), flush=True)
if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, str(bundle_folder)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=root,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(lines) == 2
    assert lines[0] == lines[1]
