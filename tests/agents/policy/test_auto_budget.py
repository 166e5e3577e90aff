"""Budgets that are chosen at each step: by what has been seen, never by what comes."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from flexlam_rl.agents.latent_space import Translation
from flexlam_rl.agents.policy.budgets import drawn_budgets, random_chances
from flexlam_rl.agents.policy.bundle import Decoding, load_bundle
from flexlam_rl.agents.policy.bundle_files import save_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.utils.budget_words import RULES

M, N, STEPS = 8, 3, 7
DRAWN = Decoding(1.0, 1.0)
PRIORS = ("interleaved", "factored")


@pytest.fixture(scope="module")
def bundles(make_bundle_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("auto")
    return {
        prior: load_bundle(make_bundle_folder(root / prior, slots=M, prior=prior, budget_head=True)) for prior in PRIORS
    }


@pytest.fixture(scope="module")
def seen():
    """Frames (STEPS, N, 64, 64, 3)."""
    return np.random.default_rng(0).integers(0, 256, (STEPS, N, 64, 64, 3), np.uint8)


def play(policy, frames, rows=slice(None), state=None):
    """Actions and budgets (T, n), and the state at the end."""
    found = []
    for frame in frames:
        actions, state = policy.predict(frame[rows], state)
        found.append((actions, policy.last.budgets))
    return *(np.array(part) for part in zip(*found, strict=True)), state


def middling(bundle, rule, seen):
    """A tolerance at which a rule of random weights stops early on some steps and not on others."""
    policy = LatentActionPolicy(bundle, f"auto:0:{rule}", decoding=DRAWN, chunk=16)
    play(policy, seen)
    return middle(policy)


def middle(policy):
    return round(float(np.nanmedian(policy.last.estimates[:, 0])) + 1e-3, 4)  # none lies at the edge


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("prior", PRIORS)
def test_a_chosen_budget_is_a_budget(bundles, seen, prior, rule):
    bundle = bundles[prior]
    whole = play(LatentActionPolicy(bundle, M, decoding=DRAWN, chunk=16), seen)
    policy = LatentActionPolicy(bundle, f"auto:0:{rule}", decoding=DRAWN, chunk=16)
    never = play(policy, seen)
    assert np.array_equal(whole[0], never[0]) and (never[1] == M).all()

    words = f"auto:{middle(policy)}:{rule}"
    policy = LatentActionPolicy(bundle, words, decoding=DRAWN, chunk=16)
    actions, budgets, state = play(policy, seen)
    assert budgets.min() < M and len(np.unique(budgets)) > 1
    assert np.array_equal(policy.spent, budgets.sum(0)) and np.array_equal(state.spent, budgets.sum(0))
    # the same as if these budgets had been given
    given, last = LatentActionPolicy(bundle, M, decoding=DRAWN, chunk=16), None
    for frame, wanted, k in zip(seen, actions, budgets, strict=True):
        given.budget = k
        taken, last = given.predict(frame, last)
        assert np.array_equal(taken, wanted)
    # the last decision tells why
    tell, k = policy.last, policy.last.budgets
    assert tell.rule == rule and tell.codes.shape == (N, k.max()) and ((tell.codes >= 0).sum(1) == k).all()
    for row in range(N):
        stopped = tell.estimates[row, k[row] - 1] < tell.tolerance
        assert stopped or k[row] == M
        assert not (tell.estimates[row, : k[row] - 1] < tell.tolerance).any()
        assert tell.reasons[row].startswith(rule) and ("never" in tell.reasons[row]) == (not stopped)

    # one environment alone, and another number of them in chunks, decide the same
    everyone = LatentActionPolicy(bundle, words, decoding=DRAWN, chunk=16, seed=0)
    everyone.begin_episodes(np.arange(N), np.arange(N))
    together = play(everyone, seen)[:2]
    for rows in (slice(0, 1), slice(1, 3)):
        part = LatentActionPolicy(bundle, words, decoding=DRAWN, chunk=16, seed=0)
        part.begin_episodes(np.arange(N)[: seen[0][rows].shape[0]], np.arange(N)[rows])
        for one, other in zip(play(part, seen, rows)[:2], together, strict=True):
            assert np.array_equal(one, other[:, rows])
    # without chunks nothing but the last bits changes
    loose = play(LatentActionPolicy(bundle, words, decoding=DRAWN), seen)
    assert np.array_equal(loose[0], actions) and np.array_equal(loose[1], budgets)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("prior", PRIORS)
def test_no_rule_looks_at_the_next_frame(bundles, seen, prior, rule):
    words = f"auto:{middling(bundles[prior], rule, seen)}:{rule}"
    other = seen.copy()
    other[4:] = 255 - other[4:]
    here, there = (play(LatentActionPolicy(bundles[prior], words, chunk=16), frames) for frames in (seen, other))
    assert np.array_equal(here[1][:4], there[1][:4])  # step 3 leads to frame 4, which differs
    assert not np.array_equal(here[1][4:], there[1][4:])  # and is seen, once it is there


@pytest.mark.parametrize("words", ["auto:0.4:change", "auto:0.5:regressed", "random:3"])
def test_a_restored_policy_goes_on_as_if_it_had_not_stopped(bundles, seen, words):
    bundle = bundles["factored"]

    def fresh():
        return LatentActionPolicy(bundle, words, decoding=DRAWN, seed=3)

    straight = fresh()
    straight.begin_episodes(np.arange(N), [4, 5, 6])
    actions, budgets, _ = play(straight, seen)
    first = fresh()
    first.begin_episodes(np.arange(N), [4, 5, 6])
    *_, state = play(first, seen[:4])
    copied, copied_state = deepcopy((first, state))
    second = fresh()
    state = second.restore(first.snapshot(state))
    assert np.array_equal(second.spent, budgets[:4].sum(0))
    for policy, begun in ((second, state), (copied, copied_state)):
        later = play(policy, seen[4:], state=begun)
        assert np.array_equal(later[0], actions[4:]) and np.array_equal(later[1], budgets[4:])


def test_environments_that_have_ended_cost_nothing(bundles, seen):
    policy = LatentActionPolicy(bundles["factored"], "auto:0:change", chunk=16)
    *_, state = play(policy, seen[:2])
    policy.end_episodes([1])
    policy.predict(seen[2], state)
    assert policy.last.budgets.tolist() == [M, 0, M] and policy.last.reasons[1] == "not playing"
    assert policy.spent.tolist() == [3 * M, 2 * M, 3 * M]


def test_random_budgets_have_the_mean_that_is_asked_for(bundles, seen):
    for mean in (1, 2.5, 4.5, 8):
        chances = random_chances(mean, M)
        assert chances.sum() == pytest.approx(1) and chances @ np.arange(1, M + 1) == pytest.approx(mean)
    assert random_chances(4.5, M) == pytest.approx(np.full(M, 1 / M))  # as widely as the mean allows
    drawn = drawn_budgets(random_chances(2.5, M), (np.arange(20_000) + 0.5) / 20_000)
    assert drawn.mean() == pytest.approx(2.5, abs=1e-3) and (drawn.min(), drawn.max()) == (1, M)
    policy = LatentActionPolicy(bundles["factored"], "random:2.5", deterministic=True)
    budgets = play(policy, seen)[1]
    assert len(np.unique(budgets)) > 2 and policy.last.reasons == ["random"] * N
    # codes and actions are drawn as ever
    frame = seen[0]
    one = LatentActionPolicy(bundles["factored"], "random:8", decoding=DRAWN).predict(frame)[0]
    assert np.array_equal(one, LatentActionPolicy(bundles["factored"], M, decoding=DRAWN).predict(frame)[0])


def test_a_bundle_keeps_its_head(bundles, tmp_path, make_bundle_folder):
    bundle = bundles["factored"]
    again = load_bundle(save_bundle(tmp_path / "again", bundle, bundle.config.decoding))
    assert again.hash == bundle.hash and again.budget.config == bundle.budget.config
    (tmp_path / "again/budget/model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"budget/model.safetensors is missing"):
        load_bundle(tmp_path / "again")
    bare = load_bundle(make_bundle_folder(tmp_path / "bare", slots=M, prior="factored"))
    assert bare.budget is None and bare.hash != bundle.hash
    assert LatentActionPolicy(bare, "auto").budget == "auto:0.1"
    with pytest.raises(ValueError, match="has no budget head"):
        LatentActionPolicy(bare, "auto:0.1:change")
    other = load_bundle(make_bundle_folder(tmp_path / "other", slots=4, prior="factored", budget_head=True))
    with pytest.raises(CheckpointError, match="slots of budget head and sequence model differ: 4 and 8"):
        load_bundle(save_bundle(tmp_path / "mixed", replace(bundle, budget=other.budget), bundle.config.decoding))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("auto:-1", "The tolerance of budget 'auto:-1' is -1.0; expected a finite number, 0 or more"),
        ("auto:nan", "is nan; expected a finite number"),
        ("auto:much", "is 'much'; expected a finite number"),
        ("auto:0.1:best", "is 'best'; expected one of regressed, change, entropy"),
        ("many", "budget is 'many'; expected 1..8, auto:TOLERANCE or random:MEAN"),
        ("random:9", "expected a mean of 1..8"),
        ("random:0.5", "is 0.5; expected a finite number, 1 or more"),
        ("random", "expected a finite number, 1 or more"),
    ],
)
def test_bad_words_are_refused_in_a_sentence(bundles, words, message):
    policy = LatentActionPolicy(bundles["factored"], 2)
    with pytest.raises(ValueError, match=message):
        policy.budget = words
    assert policy.budget == 2


def test_one_budget_cannot_be_chosen(make_bundle_folder, tmp_path, bundles):
    fixed = load_bundle(make_bundle_folder(tmp_path / "fixed", fixed=2))
    with pytest.raises(ValueError, match=r"budget is 'auto:0.1'; expected 2, the only one of a Fixed-K model"):
        LatentActionPolicy(fixed, "auto")
    at_once = load_bundle(make_bundle_folder(tmp_path / "flow", prior="continuous"))
    with pytest.raises(ValueError, match="the prior makes all slots of a decision at once"):
        LatentActionPolicy(at_once, "auto:0.1:entropy")
    with pytest.raises(ValueError, match=r"The budget is 'auto:0.2'; latent actions need one number"):
        Translation(LatentActionPolicy(bundles["factored"], "auto:0.2"), 2, None)
