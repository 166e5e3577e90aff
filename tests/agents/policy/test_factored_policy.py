"""A policy whose prior is the factored or the recurrent one: a bundle like any other, played like any other."""

import copy

import numpy as np
import pytest

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.nn.places import CheckpointError


@pytest.fixture(scope="module", params=["factored", "recurrent"])
def folder(request, make_bundle_folder, tmp_path_factory):
    return make_bundle_folder(tmp_path_factory.mktemp(request.param) / "bundle", prior=request.param)


@pytest.fixture(scope="module")
def seen():
    """Frames (T, n, H, W, C), more than the context has."""
    return np.random.default_rng(0).integers(0, 256, (10, 5, 64, 64, 3), np.uint8)


def play(policy, seen, starts=None):
    """Actions and codes of all steps."""
    state, found = None, []
    for t, frames in enumerate(seen):
        action, state = policy.predict(frames, state, None if starts is None else starts[t])
        found.append((action, policy.last.codes))
    return [np.stack(part) for part in zip(*found, strict=True)]


def test_a_bundle_holds_it_and_saves_it_again(folder, tmp_path):
    policy = LatentActionPolicy.from_pretrained(folder, 2)
    assert type(policy.sequence) is (FactoredPrior if "factored" in folder.parent.name else RecurrentPrior)
    policy.save_pretrained(tmp_path / "again")
    assert load_bundle(tmp_path / "again").hash == policy.bundle.hash


def test_each_environment_plays_as_alone_also_after_a_restart(folder, seen):
    options = {"chunk": 16, "seed": 3}
    starts = np.zeros(seen.shape[:2], bool)
    starts[0] = True
    starts[4, 1] = starts[7, 2] = True
    together, codes = play(LatentActionPolicy.from_pretrained(folder, 3, **options), seen, starts)
    policy = LatentActionPolicy.from_pretrained(folder, 3, **options)
    alone, own = play(policy, seen[:, :1], starts[:, :1])
    assert np.array_equal(together[:, :1], alone) and np.array_equal(codes[:, :1], own)
    assert len(np.unique(codes)) > 20
    greedy = {**options, "deterministic": True}
    whole = play(LatentActionPolicy.from_pretrained(folder, **greedy), seen, starts)[1]
    for row, at in ((1, 4), (2, 7)):
        fresh = play(LatentActionPolicy.from_pretrained(folder, **greedy), seen[at:, row : row + 1])[1]
        assert np.array_equal(whole[at:, row : row + 1], fresh)
    for budget in (1, 2):
        part = play(LatentActionPolicy.from_pretrained(folder, budget, **greedy), seen, starts)[1]
        assert np.array_equal(part, whole[..., :budget])


def test_a_copy_goes_on_as_the_policy_would(folder, seen):
    policy = LatentActionPolicy.from_pretrained(folder)
    for frames in seen[:7]:
        policy(frames)
    other = copy.deepcopy(policy)
    for frames in seen[7:]:
        assert np.array_equal(policy(frames), other(frames))


def test_a_snapshot_goes_on_as_the_policy_would(folder, seen):
    """Also after a restart, with rings that are full."""
    options = {"chunk": 3, "seed": 3}
    policy, state = LatentActionPolicy.from_pretrained(folder, 3, **options), None
    for frames in seen[:7]:
        _, state = policy.predict(frames, state)
    other = LatentActionPolicy.from_pretrained(folder, 3, **options)
    restored = other.restore(policy.snapshot(state))
    for frames in seen[7:]:
        action, state = policy.predict(frames, state)
        again, restored = other.predict(frames, restored)
        assert np.array_equal(action, again) and np.array_equal(policy.last.codes, other.last.codes)


def test_another_models_folder_in_its_place_is_named(folder, tmp_path):
    import shutil

    copied = shutil.copytree(folder, tmp_path / "odd")
    shutil.rmtree(copied / "sequence")
    shutil.copytree(copied / "translator", copied / "sequence")
    with pytest.raises(
        CheckpointError, match="holds a 'Translator'; expected a 'SequenceModel' or 'FactoredPrior' or 'R"
    ):
        load_bundle(copied)
