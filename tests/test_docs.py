"""The documents say what is true: their Python runs as printed, their links lead somewhere, their tables name every
level.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flexlam_rl.checkpoints import VARIABLE, default
from flexlam_rl.envs.domains.dmlab.levels import LEVELS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def _names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=_names)
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
