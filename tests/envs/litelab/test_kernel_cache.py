"""The cache of machine code: used where it is whole, and compiled anew where it is not."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
import sys
from typing import NamedTuple
import numpy as np
from flexlam_rl.envs.litelab import kernel as k

class {name}(NamedTuple):
    values: np.ndarray

@k.kernel
def total(pair):
    return pair.values.sum()

print(total({name}(np.arange(4.0))), sum(total.stats.cache_hits.values()))
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("FLEXLAM_CACHE_DIR", str(tmp_path / "cache"))

    def call(name: str = "Pair") -> str:
        module = tmp_path / "module.py"
        module.write_text(MODULE.format(name=name))
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import module"
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    return call


def entries(tmp_path: Path, suffix: str) -> list[Path]:
    return sorted((tmp_path / "cache").rglob(f"*{suffix}"))


def test_second_process_takes_the_machine_code(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert run() == "6.0 0"
    assert run() == "6.0 1"
    assert len(entries(tmp_path, ".nbc")) == 1


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], lambda content: content[:-100] + bytes(100), lambda content: b""],
)
def test_damaged_entries_are_compiled_anew(run, tmp_path: Path, suffix: str, damage) -> None:  # type: ignore[no-untyped-def]
    run()
    (path,) = entries(tmp_path, suffix)
    path.write_bytes(damage(path.read_bytes()))
    assert run().startswith("6.0 ")
    assert run() == "6.0 1"


def test_entries_that_name_classes_of_another_version_are_compiled_anew(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The types of arguments are not part of a kernel's sources."""
    run()
    (index,) = entries(tmp_path, ".nbi")
    old = index.read_bytes()
    assert b"Pair" in old
    index.write_bytes(old.replace(b"Pair", b"Lost"))
    assert run() == "6.0 0"
    assert run() == "6.0 1"
