"""The tutorial's commands run at a small size, and every page's have a test that runs them (`stories.py`)."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, commands, pages
from tests.docs.running import run_page, run_python
from tests.docs.stories import SAME_AS_THE_TUTORIAL, STORIES, TESTED_ELSEWHERE, Story, small
from tests.eval.conftest import shorten_episodes

TUTORIAL = "docs/tutorial.md"


def test_the_tutorial_leads_to_a_policy_that_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shorten_episodes(monkeypatch)
    side = {"flexlam (demo|health)": "in no other command's way; tests/eval has tests of both"}
    story = replace(STORIES[TUTORIAL], not_run=side)
    ran = run_page(TUTORIAL, story)
    assert sum(line.startswith(("flexlam train", "flexlam suite", "flexlam compare")) for line in ran) >= 4
    assert (tmp_path / "sweep.png").stat().st_size > 1000 and (tmp_path / "episode.mp4").stat().st_size > 1000
    run_python(TUTORIAL, story)


def test_every_page_with_commands_has_a_test_that_runs_them() -> None:
    told = [*STORIES, *TESTED_ELSEWHERE, *SAME_AS_THE_TUTORIAL]
    assert len(told) == len(set(told))
    shown = {page: [small(command.words, Story()) for command in commands(page)] for page in pages()}
    can_run = {page for page, found in shown.items() if any(found)}
    assert can_run - set(told) == set(), "tell in tests/docs/stories.py how, or where, their commands run"
    assert [page for page in told if not shown.get(page)] == []
    assert [name for names in TESTED_ELSEWHERE.values() for name in names if not (ROOT / name).is_file()] == []


def test_options_take_the_place_of_those_of_the_page() -> None:
    words = ("flexlam", "suite", "--budget", "1,4,16", "--tasks", "a", "b", "--episodes", "50", "--videos")
    assert small(words, Story(words={"1,4,16": "1,4"}, small={"flexlam suite": {"--seed": "3"}})) == [
        *("flexlam", "suite", "--budget", "1,4", "--videos"),
        *("--tasks", "rooms_exploit_deferred_effects_train", "--episodes", "1", "--no-plots", "--seed", "3"),
    ]
    assert small(("flexlam", "play", "x"), Story()) is None
    assert small(("flexlam", "levels"), Story(not_run={"flexlam levels": "as a test"})) is None
