"""Run the commands of a page at their small size, in the current folder and in this process."""

import re
import subprocess
import sys
from collections.abc import Sequence

from flexlam_rl import cli
from tests.docs.blocks import ROOT, commands
from tests.docs.checking import PYTHON, started
from tests.docs.stories import Story, small

PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_page(page: str, story: Story) -> list[str]:
    """Run the commands of a page in order.

    Returns:
        Those that ran, as they ran.

    Raises:
        AssertionError: A command has failed, with its place.
    """
    ran = []
    for command in commands(page):
        words = small(command.words, story)
        if words is not None:
            assert _code(words) == 0, f"{command}\n  failed as: {' '.join(words)}"
            ran.append(" ".join(words))
    return ran


def run_python(page: str, story: Story) -> None:
    """Run the Python of a page, block after block."""
    names: dict[str, object] = {}
    for block in PYTHON_BLOCK.findall((ROOT / page).read_text()):
        for old, new in story.words.items():
            block = re.sub(rf"(?<![\w=]){re.escape(old)}\b", new, block)
        exec(compile(block, page, "exec"), names)


def _code(words: Sequence[str]) -> int:
    if words[0].rpartition("/")[2] == "flexlam":
        return cli.main(words[1:])
    assert PYTHON.fullmatch(words[0]), words
    if words[1] != "-m":
        given = [str(ROOT / words[1]) if words[1].endswith(".py") else words[1], *words[2:]]
        return subprocess.run([sys.executable, *given]).returncode
    try:
        started(words[2], words[3:])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
