"""The commands of every page in `stories.STORIES`, run at a small size: `make docs-check`, a few minutes.

pytest does not collect this file by itself, so `make test` leaves it out.
"""

import shutil
from pathlib import Path

import pytest

from flexlam_rl import cli
from tests.docs.running import run_page, run_python
from tests.docs.stories import LEVEL, STORIES


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages take as given: rollouts, a LAM, a whole run, its bundle, and a suite that this has played."""
    root = tmp_path_factory.mktemp("prepared")
    data, run = ["--data", str(root / "rollouts")], str(root / "run")
    train = [*data, "--preset", "debug", "--steps", "2"]
    collect = ["collect", "--tasks", LEVEL, "--expert", "scripted", "--steps", "60", "--out", str(root / "rollouts")]
    play = ["--checkpoint", str(root / "policy"), "--budget", "1", "--tasks", LEVEL, "--episodes", "1", "--no-plots"]
    for command in (
        *([*collect, "--split", split] for split in ("train", "test")),
        ["train", "lam", *train, "--out", str(root / "lam")],
        ["train", *train, "--out", run, "--label-count", "30"],
        ["bundle", run, "-o", str(root / "policy"), *data],
        ["suite", *play, "--out", str(root / "suite")],
    ):
        assert cli.main(command) == 0, command
    return root


@pytest.mark.parametrize("page", STORIES)
def test_commands_of_a_page_run(page: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = STORIES[page]
    monkeypatch.chdir(tmp_path)
    for name, what in story.given.items():
        shutil.copytree(prepared / what, tmp_path / name)
    assert run_page(page, story)
    if page == "docs/tutorial.md":  # the others' Python runs in tests/test_docs.py
        run_python(page, story)
