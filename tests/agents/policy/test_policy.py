"""LatentActionPolicy: what a decision is, what changes it and what does not."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import flexlam_rl  # noqa: F401
from flexlam_rl.agents.policy.bundle import Decoding, load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.models.flexlam.decode import Decoder
from flexlam_rl.nn.action_head import choose_actions

M = 4


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return load_bundle(bundle_folder)


def frames(count: int, rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, rows, 64, 64, 3), np.uint8)


def play(policy, seen, starts=None, **options):
    """Actions (T, n) and codes (T, n, M) of a policy over frames (T, n, H, W, C)."""
    state, actions, codes = None, [], []
    for t, frame in enumerate(seen):
        start = np.full(len(frame), t == 0) if starts is None else starts[t]
        action, state = policy.predict(frame, state, start, **options)
        actions.append(action)
        row = np.full((len(frame), M), -1)
        row[:, : policy.last.codes.shape[1]] = policy.last.codes
        codes.append(row)
    return np.stack(actions), np.stack(codes)


def test_a_decision_is_the_papers_algorithm(bundle):
    """The same as encode, observe, generate, null fill and translate by hand, step by step."""
    policy = LatentActionPolicy(bundle, 2)
    seen = frames(9, 1)
    actions, codes = play(policy, seen, deterministic=True)
    decoder, previous = Decoder(bundle.sequence), torch.full((1, 1), -1)
    state = decoder.initial_state(1)
    for t, frame in enumerate(seen):
        now = torch.from_numpy(frame).movedim(-1, 1).contiguous()
        hidden = decoder.observe(state, now, bundle.lam.encode(last, now) if t else None)  # noqa: F821
        generated = decoder.generate(state, hidden, 2).codes
        previous = choose_actions(
            bundle.translator(bundle.lam.keep_prefix(generated, 2), previous), bundle.translator.config.actions
        )
        last = now  # noqa: F841
        assert codes[t, 0, :2].tolist() == generated[0].tolist()
        assert actions[t, 0] == previous.item()
    assert len(set(actions[:, 0].tolist())) > 2


def test_image_layouts_and_single_observations(bundle):
    policy = LatentActionPolicy(bundle, 3)
    seen = frames(6, 1)
    expected = play(policy, seen, deterministic=True)[0]
    channels_first = np.moveaxis(seen, -1, 2)
    assert np.array_equal(play(policy, channels_first, deterministic=True)[0], expected)
    state, single = None, []
    for t, frame in enumerate(seen):
        action, state = policy.predict(frame[0], state, np.array([t == 0]), deterministic=True)
        assert np.shape(action) == ()
        single.append(action)
    assert np.array_equal(single, expected[:, 0])
    policy.reset()
    plain = LatentActionPolicy(bundle, 3, deterministic=True)
    for episode in range(2):
        plain.reset()
        assert [int(plain({"RGB_INTERLEAVED": frame[0]})) for frame in seen] == expected[:, 0].tolist(), episode


def test_a_start_clears_its_own_row_alone(bundle):
    policy = LatentActionPolicy(bundle, deterministic=True)
    seen = frames(12, 3)
    starts = np.zeros((12, 3), bool)
    starts[0] = True
    starts[5:, 1] = True  # as evaluate_policy leaves a slot that is done
    starts[7, 2] = True
    codes = play(policy, seen, starts)[1]
    through = play(policy, seen)[1]
    assert np.array_equal(codes[:, 0], through[:, 0])
    assert np.array_equal(codes[7:, 2], play(policy, seen[7:, 2:3])[1][:, 0])
    for t in range(5, 12):
        assert np.array_equal(codes[t, 1], play(policy, seen[t : t + 1, 1:2])[1][0, 0])
    assert not np.array_equal(codes[7:, 2], through[7:, 2])


def test_budgets_change_at_any_step_and_only_what_they_should(bundle):
    """The history stays whole: steps after a spell of small budgets are those of a policy that never had it, the
    actions fed back apart.
    """
    seen = frames(10, 2)
    whole = LatentActionPolicy(bundle, M, deterministic=True)
    codes = play(whole, seen)[1]
    changing = LatentActionPolicy(bundle, M, deterministic=True)
    state, got = None, []
    for t, frame in enumerate(seen):
        changing.budget = 1 if 3 <= t < 6 else [2, M] if t == 7 else M
        _, state = changing.predict(frame, state, np.full(2, t == 0))
        got.append(changing.last.codes)
    for t, row in enumerate(got):
        k = [1, 1] if 3 <= t < 6 else [2, M] if t == 7 else [M, M]
        for i in range(2):
            assert row[i, : k[i]].tolist() == codes[t, i, : k[i]].tolist()
            assert (row[i, k[i] :] == -1).all()
    assert np.isnan(changing.last.probabilities).sum() == 0
    assert ((changing.last.probabilities > 0) & (changing.last.probabilities <= 1)).all()
    assert set(changing.last.seconds) == {"encode", "context", "generate", "translate", "total"}


@pytest.mark.parametrize("value", [0, M + 1, -1, 1.5, True, [], [1, 9], [[1]], "4", None])
def test_impossible_budgets_are_refused_and_leave_the_old_one(bundle, value):
    policy = LatentActionPolicy(bundle, 2)
    with pytest.raises(ValueError, match=r"expected 1\.\.4"):
        policy.budget = value
    assert policy.budget == 2


def test_a_fixed_model_takes_its_own_budget_only(make_bundle_folder, tmp_path):
    policy = LatentActionPolicy.from_pretrained(make_bundle_folder(tmp_path / "fixed", fixed=2))
    assert policy.budget == 2
    with pytest.raises(ValueError, match="Fixed-K"):
        policy.budget = 1
    assert play(policy, frames(3, 2))[0].shape == (3, 2)


@pytest.mark.parametrize("deterministic", [True, False])
def test_chunks_make_decisions_independent_of_the_number_of_environments(bundle, deterministic):
    """To the last bit: one environment alone, and the same among 37."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seen = frames(8, 37)
    decoding = Decoding(1.0, 1.0)
    results = []
    for rows in (slice(None), slice(20, 21)):
        policy = LatentActionPolicy(bundle, M, deterministic=deterministic, chunk=16, decoding=decoding)
        count = seen[:, rows].shape[1]
        policy.begin_episodes(np.arange(count), np.arange(37)[rows])
        state, log = None, []
        for frame in seen[:, rows]:
            action, state = policy.predict(frame, state)
            log.append((action[20 if count == 37 else 0], *policy.last.probabilities[20 if count == 37 else 0]))
        results.append(log)
    torch.set_num_threads(threads)
    assert results[0] == results[1]


def test_a_bfloat16_cache_rounds_and_no_more(bundle):
    seen = frames(10, 16)
    whole, rounded = (
        LatentActionPolicy(bundle, 1, deterministic=True, cache=cache) for cache in (None, torch.bfloat16)
    )
    first, second = None, None
    for frame in seen:  # the first code alone: later ones follow from earlier choices
        _, first = whole.predict(frame, first)
        _, second = rounded.predict(frame, second)
    same = whole.last.codes == rounded.last.codes
    assert same.mean() > 0.7
    assert np.allclose(whole.last.probabilities[same], rounded.last.probabilities[same], rtol=0.2)
    assert not np.array_equal(whole.last.probabilities, rounded.last.probabilities)
    assert second.chunks[0].decode.keys.dtype == torch.bfloat16


def test_draws_follow_the_episode_and_the_temperatures(bundle):
    seen = frames(8, 2)

    def sampled(seed, budget=M, **temperatures):
        policy = LatentActionPolicy(bundle, budget, decoding=Decoding(**temperatures), deterministic=False)
        policy.begin_episodes(np.arange(2), np.array([seed, 7]))
        return play(policy, seen)[1]

    first = sampled(1)
    assert np.array_equal(first, sampled(1))
    other = sampled(2)
    assert not np.array_equal(first[:, 0], other[:, 0])
    assert np.array_equal(first[:, 1], other[:, 1])
    assert np.array_equal(
        sampled(1, 2)[..., :2], first[..., :2]
    )  # budgets are prefixes of each other when sampled, too
    greedy = play(LatentActionPolicy(bundle, M, deterministic=True), seen)[1]
    assert not np.array_equal(first, greedy)
    assert np.array_equal(sampled(1, temperature=0.0), greedy)


def test_a_restarted_map_begins_the_history_anew_but_not_the_episode(bundle):
    seen = frames(8, 1)
    policy = LatentActionPolicy(bundle, deterministic=True)
    state, got = None, []
    for t, frame in enumerate(seen):
        if t == 5:
            policy.map_restarted(np.array([0]))
        _, state = policy.predict(frame, state, np.array([t == 0]))
        got.append(policy.last.codes[0])
    assert np.array_equal(np.stack(got)[5:], play(policy, seen[5:])[1][:, 0])
    plain = LatentActionPolicy(bundle, deterministic=True)
    for t, frame in enumerate(seen):
        plain(frame[0], {"map_reset": t == 5})
        assert np.array_equal(plain.last.codes[0], got[t])


def test_a_new_episode_remembers_nothing_not_even_the_last_action(bundle):
    seen, starts = frames(8, 16), np.zeros((8, 16), bool)
    starts[[0, 5]] = True
    policy = LatentActionPolicy(bundle)
    actions, codes = play(policy, seen, starts, deterministic=True)
    assert policy.spent.tolist() == [3 * M] * 16
    anew = play(policy, seen[5:], deterministic=True)
    assert np.array_equal(actions[5:], anew[0]) and np.array_equal(codes[5:], anew[1])


def test_each_environment_acts_by_its_own_budget(bundle):
    seen, budgets = frames(6, 16), np.arange(16) % M + 1
    actions = play(LatentActionPolicy(bundle, budgets), seen, deterministic=True)[0]
    alone = [play(LatentActionPolicy(bundle, k), seen, deterministic=True)[0] for k in range(1, M + 1)]
    for i, k in enumerate(budgets):
        assert np.array_equal(actions[:, i], alone[k - 1][:, i])
    assert not np.array_equal(alone[0], alone[M - 1])


def test_vector_loop_with_partial_resets(bundle):
    seen = frames(7, 3)
    policy = LatentActionPolicy(bundle, deterministic=True)
    starts = np.zeros((7, 3), bool)
    starts[0], starts[4, 1] = True, True
    expected = play(policy, seen, starts)[0]
    plain = LatentActionPolicy(bundle, deterministic=True)
    for t, frame in enumerate(seen):
        if t == 4:
            plain.reset(np.array([False, True, False]))
        assert np.array_equal(plain(frame), expected[t])


def test_a_caller_may_overwrite_its_frames(bundle):
    """Batches with copy=False do: the history must not change with them."""
    seen = np.ascontiguousarray(np.moveaxis(frames(6, 2), -1, 2))
    policy = LatentActionPolicy(bundle, deterministic=True)
    expected = play(policy, seen)[1]
    buffer, state = np.empty_like(seen[0]), None
    for t, frame in enumerate(seen):
        buffer[:] = frame
        _, state = policy.predict(buffer, state)
        assert np.array_equal(policy.last.codes, expected[t])
        buffer[:] = 0


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (np.zeros((64, 64, 4), np.uint8), ["(64, 64, 4)", "(64, 64, 3)"]),
        (np.zeros((2, 32, 32, 3), np.uint8), ["(2, 32, 32, 3)", "(64, 64, 3)"]),
        (np.zeros((64, 64, 3), np.float32), ["float32", "uint8"]),
        ((np.zeros((64, 64, 3), np.uint8), {}), ["tuple"]),
    ],
)
def test_foreign_frames_are_refused(bundle, observation, words):
    with pytest.raises(ValueError) as error:
        LatentActionPolicy(bundle).predict(observation)
    assert all(word in str(error.value) for word in words)


def test_another_number_of_environments_is_refused(bundle):
    policy = LatentActionPolicy(bundle)
    _, state = policy.predict(frames(1, 2)[0])
    with pytest.raises(ValueError, match="state is of 2"):
        policy.predict(frames(1, 3)[0], state)
    policy.budget = [1, 2, 3]
    with pytest.raises(ValueError, match="budget has 3 entries for 2"):
        policy.predict(frames(1, 2)[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"action_set": "impala9"}, ["action set", "'dreamer15'", "'impala9'"]),
        ({"frame_skip": 8}, ["frame skip", "4", "8"]),
        ({"width": 32, "height": 32}, ["frame size", "(64, 64)", "(32, 32)"]),
        ({"textures": "labmaze"}, ["look", "'procedural'", "'labmaze'", "any_look"]),
        ({"hud": "none"}, ["overlay", "'full'", "'none'"]),
    ],
)
def test_environments_other_than_the_one_trained_in_are_refused(bundle, options, words):
    if options.get("textures") == "labmaze":
        pytest.importorskip("labmaze")
    for env in (
        gym.make("FlexLAM-DMLab-v0", engine="litelab", **options),
        gym.make_vec("FlexLAM-DMLab-v0", num_envs=1, engine="litelab", **options),
    ):
        with pytest.raises(ValueError) as error:
            LatentActionPolicy(bundle, env=env)
        assert all(word in str(error.value) for word in words), error.value
        if "any_look" in words:
            LatentActionPolicy(bundle, env=env, any_look=True)
        env.close()


def test_evaluate_policy_of_stable_baselines3(bundle):
    evaluation = pytest.importorskip("stable_baselines3.common.evaluation")
    from stable_baselines3.common.env_util import make_vec_env

    policy = LatentActionPolicy(bundle, 2)
    env = make_vec_env(
        "FlexLAM-DMLab-v0",
        n_envs=2,
        seed=3,
        env_kwargs={"level": "rooms_exploit_deferred_effects_train", "engine": "litelab", "frame_skip": 60},
    )
    rewards, lengths = evaluation.evaluate_policy(policy, env, n_eval_episodes=3, return_episode_rewards=True)
    assert len(rewards) == 3
    assert all(0 < length <= 60 for length in lengths)
    env.close()


def test_nothing_bundled_is_said_so(monkeypatch, tmp_path):
    monkeypatch.delenv("FLEXLAM_CHECKPOINT", raising=False)
    monkeypatch.setattr("flexlam_rl.checkpoints.BUNDLED", tmp_path / "missing")
    with pytest.raises(ValueError, match="No checkpoint comes with this version"):
        LatentActionPolicy.from_pretrained()


def test_the_default_is_the_bundled_one_or_the_one_of_the_environment_variable(
    monkeypatch, bundle_folder, make_bundle_folder, tmp_path
):
    monkeypatch.delenv("FLEXLAM_CHECKPOINT", raising=False)
    monkeypatch.setattr("flexlam_rl.checkpoints.BUNDLED", bundle_folder)
    assert LatentActionPolicy.from_pretrained(budget=3).bundle.hash == load_bundle(bundle_folder).hash
    other = make_bundle_folder(tmp_path / "other", seed=1)
    monkeypatch.setenv("FLEXLAM_CHECKPOINT", str(other))
    assert LatentActionPolicy.from_pretrained(budget=3).bundle.hash == load_bundle(other).hash
