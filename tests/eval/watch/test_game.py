"""A watched game: what changes when, what is seen, and that it is the episode that the policy plays elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.envs.domains.dmlab.domain import DMLAB
from flexlam_rl.eval.demo import played
from flexlam_rl.eval.watch.game import Game
from flexlam_rl.eval.watch.html import as_html, rows
from flexlam_rl.eval.watch.source import Source, load_source
from flexlam_rl.utils.pictures import png_bytes

TASK = "rooms_exploit_deferred_effects_train"


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source()


def same(one, other) -> bool:
    return one is other is None or np.array_equal(one, other)


def test_a_game_is_the_episode_that_the_policy_plays_elsewhere_and_each_part_belongs_to_its_step(source) -> None:
    choices = source.choices(TASK, 3, 4)
    game = Game(source, choices)
    views = [game.view, *(game.step() for _ in range(6))]
    env = source.env(TASK)
    episode = played(env, source.policy(choices, env), 6, 3, lambda *_: None)
    env.close()
    assert all(np.array_equal(view.frame, frame) for view, frame in zip(views[1:], episode.frames[:6], strict=True))
    assert np.array_equal(views[0].frame, views[1].frame) and views[0].next_frame is None and views[0].codes == ()
    for t, view in enumerate(views[1:]):
        assert view.step == t + 1 and view.budget == len(view.codes) == len(view.probabilities) == 4
        assert np.array_equal(view.next_frame, episode.frames[t + 1])
        assert view.total == episode.reward[: t + 1].sum() and view.reward == episode.reward[t]
        assert view.expert and view.top_down.shape == view.frame.shape
    labels = DMLAB.action_labels(source.spec)
    assert [view.action for view in views[1:]] == [labels[action] for action in episode.action]
    assert any(not np.array_equal(views[1].top_down, view.top_down) for view in views[2:])


def test_the_same_seed_gives_the_same_game_and_another_seed_another(source) -> None:
    games = [Game(source, source.choices(TASK, seed, 2)) for seed in (1, 1, 2)]
    seen = [[game.step() for _ in range(3)] for game in games]
    for one, other in zip(*seen[:2], strict=True):
        assert {**one.facts(), "seconds": 0} == {**other.facts(), "seconds": 0}
        for name in ("frame", "next_frame", "predicted", "top_down"):
            assert same(getattr(one, name), getattr(other, name)), name
    assert not np.array_equal(seen[0][0].frame, seen[2][0].frame)
    again = games[2].restart(source.choices(TASK, 1, 2))  # in the middle of another episode
    assert again.step == 0 and np.array_equal(again.frame, seen[0][0].frame)
    assert [games[2].step().codes for _ in range(3)] == [view.codes for view in seen[0]]


def test_a_budget_counts_from_the_next_decision_on(source) -> None:
    game = Game(source, source.choices(TASK, 0, 2))
    before = game.step()
    asked = game.change(source.slots, 1.0, 0.0)
    assert asked == replace(before, asked=source.slots)  # what was decided stays
    assert ("next budget", str(source.slots)) in rows(asked) and "next budget" not in dict(rows(before))
    after = game.step()
    assert (before.budget, after.budget) == (2, source.slots) and len(after.codes) == source.slots
    chosen = game.change(source.auto, 1.0, 0.0)
    assert chosen.budget == source.slots and chosen.asked == "auto"
    auto = game.step()
    assert 1 <= auto.budget == len(auto.codes) and auto.reason.startswith(("entropy", "change", "regressed"))
    greedy = [Game(source, replace(source.choices(TASK, 0, 4), temperature=0.0)).step() for _ in range(2)]
    assert greedy[0].codes == greedy[1].codes
    hot = Game(source, replace(source.choices(TASK, 0, 4), temperature=0.0))
    hot.change(4, 2.0, 0.0)
    assert hot.step().codes != greedy[0].codes


def test_the_decoded_frame_is_that_of_the_frame_and_the_chosen_prefix(source) -> None:
    game = Game(source, source.choices(TASK, 5, 3))
    game.step()
    view, lam = game.step(), source.bundle.lam

    def decoded(codes: list[int]) -> np.ndarray:
        frame = torch.from_numpy(view.frame).movedim(-1, 0)[None]
        slots = lam.keep_prefix(torch.tensor([codes]), len(codes))
        with torch.no_grad():
            out = lam.sample(frame, slots, lam.decode_steps, torch.Generator().manual_seed(5))
        return ((out[0].movedim(0, -1) + 1) * 127.5).clamp(0, 255).numpy()

    def far(codes: list[int]) -> float:
        return float(np.abs(decoded(codes) - view.predicted).max())

    assert far(list(view.codes)) <= 1
    assert far(list(view.codes[:2])) > 2 and far([*view.codes[:2], (view.codes[2] + 1) % lam.code_count]) > 2


def test_an_episode_ends_and_what_is_not_allowed_is_one_sentence_and_changes_nothing(source, monkeypatch) -> None:
    game = Game(source, source.choices(TASK, 0, 2))
    before = game.step()
    good = game.choices
    for change, words in {
        "budget": (source.slots + 1, "budget is"),
        "temperature": (-1.0, "temperature is -1"),
        "action_temperature": (float("nan"), "action_temperature is nan"),
        "task": ("rooms", "'rooms'"),
        "seed": (-1, "seed is -1"),
    }.items():
        with pytest.raises(ValueError, match=words[1]):
            game.restart(replace(good, **{change: words[0]}))
        if change not in ("task", "seed"):
            how = {"budget": 2, "temperature": 1.0, "action_temperature": 0.0, change: words[0]}
            with pytest.raises(ValueError, match=words[1]):
                game.change(**how)
        assert game.view is before and game.choices == good
    step = game._env.unwrapped.step
    monkeypatch.setattr(game._env.unwrapped, "step", lambda action: (*step(action)[:2], False, True, {}))
    assert game.step().over
    with pytest.raises(ValueError, match=r"over after 2 steps; restart"):
        game.step()
    assert "the episode is over" in dict(rows(game.view))["step"]
    game.restart(good)
    game.close()
    with pytest.raises(ValueError, match="closed"):
        game.step()
    assert game.restart(good).step == 0


def test_html_holds_the_pictures_and_a_bar_for_each_code(source) -> None:
    import base64

    game = Game(source, source.choices(TASK, 0, 3))
    game.change(3, 1.0, 0.0)
    assert "none yet" in as_html(game.view)
    view = game.step()
    text = as_html(replace(view, instruction="<b>go", probabilities=(0.5, None, 1.0), codes=(7, [0.25, -1.0], 9)))
    for name in ("frame", "predicted", "next_frame", "top_down"):
        assert base64.b64encode(png_bytes(getattr(view, name))).decode() in text, name
    assert "&lt;b&gt;go" in text and "<b>" not in text
    assert text.count('flexlam-bar"') == 2 and "width: 75px" in text and "50 %" in text and "0.25 -1.00" in text
    assert "http" not in text  # nothing is fetched from elsewhere
