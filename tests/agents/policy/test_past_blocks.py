"""Past blocks that decisions see as prefixes, of a given length or of k*."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.agents.policy.bundle import Decoding, load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.past_blocks import check_history, kept_codes
from flexlam_rl.models.flexlam.adaptive.choosing import choose
from flexlam_rl.models.flexlam.adaptive.objectives import Agreement
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.utils.budget_words import AutoBudget, history_in_words

M, N, STEPS = 8, 3, 9


@pytest.fixture(scope="module")
def bundle(make_bundle_folder, tmp_path_factory):
    return load_bundle(make_bundle_folder(tmp_path_factory.mktemp("past") / "bundle", slots=M, prior="factored"))


@pytest.fixture(scope="module")
def seen():
    """Frames (STEPS, N, 64, 64, 3), more than the context has."""
    return np.random.default_rng(0).integers(0, 256, (STEPS, N, 64, 64, 3), np.uint8)


def policy_of(bundle, history, **options):
    return LatentActionPolicy(bundle, M, decoding=Decoding(1.0, 1.0, history=history), chunk=16, **options)


def play(policy, frames, state=None, starts=None):
    """Codes (T, n, M), kept codes of the past (T, n) or None, and the state at the end."""
    codes, kept = [], []
    for t, frame in enumerate(frames):
        _, state = policy.predict(frame, state, None if starts is None else starts[t])
        codes.append(policy.last.codes)
        kept.append(policy.last.history)
    return np.array(codes), None if kept[0] is None else np.array(kept), state


@pytest.fixture(scope="module")
def tolerance(bundle, seen):
    """A tolerance that some prefixes of the transitions meet and others do not."""
    obs, after = (torch.from_numpy(frame).movedim(-1, 1) for frame in seen[:2])
    costs = Agreement(bundle.translator).evaluator(bundle.lam, obs, after, bundle.lam.encode(obs, after), None)
    return round(float(costs(torch.full((N,), M // 2)).median()), 4)


def test_whole_blocks_are_prefixes_of_all_codes(bundle, seen):
    whole, none, _ = play(policy_of(bundle, None), seen)
    assert none is None
    codes, kept, _ = play(policy_of(bundle, str(M)), seen)
    assert np.array_equal(codes, whole)
    assert (kept[0] == 0).all() and (kept[1:] == M).all()


def test_decisions_see_no_code_behind_the_prefix(bundle, seen, monkeypatch):
    """The rest of past blocks may be anything; what lies within the prefix may not."""
    encode = type(bundle.lam).encode
    plain, _, _ = play(policy_of(bundle, "2"), seen)
    assert not np.array_equal(plain, play(policy_of(bundle, None), seen)[0])

    def spoiled(first, last):
        def other(self, *pair):
            codes = encode(self, *pair).clone()
            codes[:, first:last] = (codes[:, first:last] + 1) % bundle.lam.code_count
            return codes

        monkeypatch.setattr(type(bundle.lam), "encode", other)
        return play(policy_of(bundle, "2"), seen)[0]

    assert np.array_equal(spoiled(2, M), plain)
    assert not np.array_equal(spoiled(1, 2), plain)


def test_the_prefix_is_k_star_of_the_transition_that_has_happened(bundle, seen, tolerance):
    _, kept, state = play(policy := policy_of(bundle, f"auto:{tolerance}"), seen)
    for t in range(1, STEPS):
        obs, after = (torch.from_numpy(frame).movedim(-1, 1) for frame in seen[t - 1 : t + 1])
        found = choose(bundle.lam, obs, after, Agreement(bundle.translator), tolerance)
        assert kept[t].tolist() == found.lengths.tolist()
    assert len(np.unique(kept[1:])) > 1
    assert policy.remembered.tolist() == state.remembered.tolist() == kept.sum(0).tolist()


def test_each_environment_plays_as_alone_also_after_a_restart_and_a_snapshot(bundle, seen, tolerance):
    starts = np.zeros((STEPS, N), bool)
    starts[0], starts[4, 1] = True, True
    words = f"auto:{tolerance}"
    codes, kept, state = play(policy_of(bundle, words), seen, starts=starts)
    alone, own, _ = play(policy_of(bundle, words), seen[:, :1], starts=starts[:, :1])
    assert np.array_equal(codes[:, :1], alone) and np.array_equal(kept[:, :1], own)
    assert kept[4, 1] == 0 and state.remembered[1] == kept[5:, 1].sum()
    policy = policy_of(bundle, words)
    _, _, half = play(policy, seen[:6], starts=starts)
    other = policy_of(bundle, words)
    again, _, ended = play(other, seen[6:], other.restore(policy.snapshot(half)))
    assert np.array_equal(again, codes[6:]) and np.array_equal(ended.remembered, state.remembered)
    with pytest.raises(ValueError, match="The state is of a policy with other models or another"):
        policy_of(bundle, "2").predict(seen[0], half)


def test_a_number_keeps_as_many(bundle):
    frames = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    codes = bundle.lam.encode(frames, frames)
    assert kept_codes(3, bundle.lam, bundle.translator, frames, frames, codes).tolist() == [3, 3]


def test_what_is_no_history_is_refused_in_a_sentence(bundle, make_bundle_folder, tmp_path):
    assert history_in_words("4") == 4 and history_in_words("auto") == AutoBudget(0.1)
    for text in ("0", "-1", "2.5", "random:2", "auto:0.1:entropy", "", "four"):
        with pytest.raises(ValueError, match="expected a number of codes, 1 or more, auto, or auto:TOLERANCE"):
            Decoding(history=text)
    for text in ("auto:", "auto:x", "auto:-1", "auto:nan"):
        with pytest.raises(ValueError, match=r"The tolerance of history .* expected a finite number, 0 or more"):
            Decoding(history=text)
    with pytest.raises(ValueError, match=f"history is '9'; expected 1..{M} codes"):
        policy_of(bundle, "9")
    with pytest.raises(ValueError, match=r"SequenceModel was trained on whole past blocks; expected a prior with one"):
        policy_of(load_bundle(make_bundle_folder(tmp_path / "interleaved", slots=M)), "2")
    fixed = type(bundle.lam)(replace(bundle.lam.config, prefix=False))
    with pytest.raises(ValueError, match=r"history is '2': .* and no other budget"):
        check_history(2, fixed, bundle.sequence)


def test_a_bundle_says_what_its_decisions_see(bundle, tmp_path):
    policy = policy_of(bundle, "auto:0.2")
    policy.save_pretrained(tmp_path / "saved")
    again = LatentActionPolicy.from_pretrained(tmp_path / "saved")
    assert again.history == AutoBudget(0.2) and "auto:0.2 codes of each past block" in (
        tmp_path / "saved/README.md"
    ).read_text(encoding="utf-8")
    config = tmp_path / "saved/config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("auto:0.2", "12"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"history is '12'; expected 1..{M} codes"):
        load_bundle(tmp_path / "saved")
