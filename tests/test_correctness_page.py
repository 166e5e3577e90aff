"""The page of tested claims names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_named_test_exists() -> None:
    files: dict[str, str] = {}
    last = ""
    named = 0
    for mark in re.findall(r"`([^`\s]*(?:\.py|::test_)[^`\s]*)`", (ROOT / "docs/correctness.md").read_text()):
        path, _, name = mark.partition("::")
        if path:
            found = [ROOT / path] if "/" in path else [p for p in ROOT.glob("tests/**/*.py") if p.name == path]
            assert len(found) == 1 and found[0].is_file(), mark
            last = found[0].read_text()
            files[mark] = last
        if name:
            assert f"def {name}(" in last, mark
            named += 1
    assert named > 15
