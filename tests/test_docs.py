"""The documents say what is true: their Python runs as printed, their links lead somewhere, their tables name every
level.
"""

import functools
import importlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from flexlam_rl import cli
from flexlam_rl.checkpoints import VARIABLE, default
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.utils.moved import MOVED

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(flexlam|python -m (?:eval|train|benchmarks)[\w.]+)((?: [^`\n]*)?)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def _names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# their blocks need what the page makes before: tests/test_plug_ins.py, tests/docs/test_running.py
STORIES = [ROOT / "docs" / name for name in ("add-a-model.md", "tutorial.md")]


@pytest.mark.parametrize("page", [p for p in PAGES if p not in STORIES and BLOCK.search(p.read_text())], ids=_names)
def test_python_of_a_page_runs_as_printed(page: Path, tmp_path: Path, make_bundle_folder: Callable[..., Path]) -> None:
    """The blocks of a page, one after the other, as a reader would try them."""
    code = "\n".join(BLOCK.findall(page.read_text()))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if default() is None:  # a random policy stands in until a trained one comes with the package
        env[VARIABLE] = str(make_bundle_folder(tmp_path / "bundle", slots=16))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=_names)
def test_links_lead_to_files(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if not target.startswith(("http://", "https://"))]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_environments_page_names_every_level() -> None:
    text = (ROOT / "docs" / "environments.md").read_text()
    rows = {name: re.search(rf"^\| `{name}` \| (\d+) \| (\d+) \| (yes)? ?\|", text, re.MULTILINE) for name in LEVELS}
    for name, row in rows.items():
        assert row is not None, name
        level = LEVELS[name]
        assert (int(row[1]), int(row[2]), row[3] == "yes") == (level.seconds, level.frames // 4, level.scored)


def test_pictures_are_small() -> None:
    large = {
        _names(path): path.stat().st_size for path in (ROOT / "docs").rglob("*.png") if path.stat().st_size > 200_000
    }
    assert large == {}


@functools.cache
def _help(command: str, words: tuple[str, ...]) -> str:
    """What a command prints with --help; "" where there is none such."""
    if command == "flexlam":
        run = functools.partial(cli.main, [*words, "--help"])
    elif command.startswith("python -m train."):
        run = functools.partial(cli.main, ["train", command.rpartition(".")[2], "--help"])
    else:
        name = command.removeprefix("python -m ")
        module = importlib.import_module(f"flexlam_rl.{MOVED.get(name, name)}")
        module = module if hasattr(module, "Options") else importlib.import_module(f"{module.__name__}.command")
        run = functools.partial(cli.parse, module.Options, ["--help"], command)
    text = io.StringIO()
    try:
        with redirect_stdout(text):
            code = run()
    except SystemExit as stop:
        code = stop.code
    return "" if code else text.getvalue()


def _commands(page: Path) -> list[tuple[str, tuple[str, ...], list[str]]]:
    """Commands in the sentences of a page: what runs, its leading words, its options."""
    code = re.findall(r"(?<!`)`([^`\n]+)`", page.read_text())
    found = []
    for command, rest in (match for part in code for match in COMMAND.findall(part)):
        rest = rest.partition(" #")[0].partition("   ")[0]
        words = [word.partition("|")[0] for word in rest.split()]
        leading = []
        for word in words[:3]:
            if not re.fullmatch("[a-z][a-z0-9_-]*", word):
                break
            leading.append(word)
        if command != "flexlam" or leading:
            found.append((command, tuple(leading), re.findall(r"(?<![\w-])--[a-z][\w-]*", rest)))
    return found


@pytest.mark.parametrize("page", PAGES, ids=_names)
def test_commands_in_sentences_exist_and_have_the_options_that_are_named(page: Path, monkeypatch) -> None:
    """Those in blocks are parsed as a whole, in tests/docs."""
    monkeypatch.setenv("COLUMNS", "200")
    for command, words, flags in _commands(page):
        if command.startswith("python -m benchmarks."):
            module = ROOT / command.removeprefix("python -m ").replace(".", "/")
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), command
            continue
        said = _help(command, words)
        assert said, f"{command} {' '.join(words)} is no command"
        missing = [flag for flag in flags if not re.search(rf"{flag}(?![\w-])", said)]
        assert not missing, f"{command} {' '.join(words)} has no {', '.join(missing)}"
