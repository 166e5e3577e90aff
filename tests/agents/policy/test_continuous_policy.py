"""A policy whose prior is a continuous one, over codes or over vectors: a bundle like any other, played like any
other.
"""

import copy

import numpy as np
import pytest

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.bundle_files import model_card
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.nn.places import CheckpointError


class Toy:
    """n pictures that each action shifts."""

    def __init__(self, rows: int) -> None:
        self.frames = np.random.default_rng(0).integers(0, 256, (rows, 64, 64, 3), np.uint8)

    def step(self, actions: np.ndarray) -> np.ndarray:
        self.frames = np.stack([np.roll(f, int(a) + 1, 1) for f, a in zip(self.frames, actions, strict=True)])
        return self.frames


def play(policy, rows: int = 3, steps: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Actions and latents of all steps."""
    toy, state, found = Toy(rows), None, []
    frames = toy.frames
    for _ in range(steps):
        actions, state = policy.predict(frames, state)
        found.append((actions, policy.last.codes))
        frames = toy.step(actions)
    return tuple(np.stack(part) for part in zip(*found, strict=True))


@pytest.mark.parametrize(("prior", "quantizer"), [("continuous", "gaussian"), ("mixture", "fsq")])
def test_it_plays_a_toy_world_at_any_budget(make_bundle_folder, tmp_path, prior, quantizer):
    folder = make_bundle_folder(tmp_path / "bundle", prior=prior, quantizer=quantizer)
    bundle = load_bundle(folder)
    assert ("4 numbers each" if quantizer == "gaussian" else "1000 codes each") in model_card(
        bundle.config, {"lam": bundle.lam, "sequence": bundle.sequence}
    )
    options = {"chunk": 16, "seed": 3}
    actions, latents = play(LatentActionPolicy(bundle, **options))
    assert latents.shape == ((9, 3, 4, 4) if quantizer == "gaussian" else (9, 3, 4))
    assert np.isfinite(latents).all() and len(np.unique(actions)) > 3
    again = play(LatentActionPolicy(bundle, **options))
    assert np.array_equal(actions, again[0]) and np.array_equal(latents, again[1])
    # each environment plays as alone
    alone = play(LatentActionPolicy(bundle, **options), 1)[0]
    assert np.array_equal(actions[:, :1], alone)
    first = {"deterministic": True, **options}
    whole, part = (play(LatentActionPolicy(bundle, k, **first), steps=1)[1] for k in (4, 2))
    assert np.allclose(part, whole[:, :, :2], atol=1e-5)
    policy = LatentActionPolicy(bundle, np.array([1, 4, 2]), **options)
    mixed = play(policy, steps=2)[1]
    behind = np.arange(4) >= np.array([1, 4, 2])[:, None]
    empty = np.isnan(mixed) if quantizer == "gaussian" else mixed == -1
    assert empty[:, behind].all() and not empty[:, ~behind].any()
    # a copy, and a snapshot, go on as the policy would
    policy, toy = LatentActionPolicy(bundle, **options), Toy(2)
    _, state = policy.predict(toy.frames)
    saved, other = policy.snapshot(copy.deepcopy(state)), LatentActionPolicy(bundle, **options)
    frames = toy.step(np.zeros(2))
    later = other.restore(saved)
    assert np.array_equal(policy.predict(frames, state)[0], other.predict(frames, later)[0])


def test_models_that_do_not_belong_together_are_refused(make_bundle_folder, tmp_path):
    import shutil

    numbers = make_bundle_folder(tmp_path / "numbers", prior="continuous", quantizer="gaussian")
    codes = make_bundle_folder(tmp_path / "codes", prior="continuous")
    odd = shutil.copytree(numbers, tmp_path / "odd")
    shutil.rmtree(odd / "lam")
    shutil.copytree(codes / "lam", odd / "lam")
    with pytest.raises(CheckpointError, match="codes of LAM and sequence model differ: 1000 and None"):
        load_bundle(odd)
