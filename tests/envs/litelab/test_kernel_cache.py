"""The cache of machine code: used where it is whole, and compiled anew where it is not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MODULE = """
import sys
from typing import NamedTuple
import numpy as np
from flexlam_rl.envs.litelab import kernel as k

class Pair(NamedTuple):
    values: np.ndarray

@k.kernel
def total(pair):
    return pair.values.sum()

print(total(Pair(np.arange(4.0))), sum(total.stats.cache_hits.values()))
"""


Run = Callable[[], str]


def run_in(folder: Path) -> str:
    (folder / "module.py").write_text(MODULE)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import module"
    env = {**os.environ, "FLEXLAM_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder whose cache was filled by a process, and what that process said."""
    folder = tmp_path_factory.mktemp("first")
    return folder, run_in(folder)


@pytest.fixture
def run(first: tuple[Path, str], tmp_path: Path) -> Run:
    """Run a process on a copy of the filled cache."""
    shutil.copytree(first[0], tmp_path, dirs_exist_ok=True)
    return lambda: run_in(tmp_path)


def entries(tmp_path: Path, suffix: str) -> list[Path]:
    return sorted((tmp_path / "cache").rglob(f"*{suffix}"))


def test_second_process_takes_the_machine_code(first: tuple[Path, str], run: Run, tmp_path: Path) -> None:
    assert first[1] == "6.0 0"
    assert run() == "6.0 1"
    assert len(entries(tmp_path, ".nbc")) == 1


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], lambda content: content[:-100] + bytes(100), lambda content: b""],
)
def test_damaged_entries_are_compiled_anew(
    run: Run, tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    (path,) = entries(tmp_path, suffix)
    path.write_bytes(damage(path.read_bytes()))
    assert run().startswith("6.0 ")
    assert run() == "6.0 1"


def test_entries_that_name_classes_of_another_version_are_compiled_anew(run: Run, tmp_path: Path) -> None:
    """The types of arguments are not part of a kernel's sources."""
    (index,) = entries(tmp_path, ".nbi")
    old = index.read_bytes()
    assert b"Pair" in old
    index.write_bytes(old.replace(b"Pair", b"Lost"))
    assert run() == "6.0 0"
    assert run() == "6.0 1"
