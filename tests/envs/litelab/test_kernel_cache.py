"""Machine code on disk: shared by copies of the same sources, renewed after an edit, done without where no folder is writable."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "flexlam_rl"
CODE = """
import numpy as np
from flexlam_rl.envs.litelab import rng
from flexlam_rl.envs.litelab.kernel import is_compiled
before = is_compiled(rng.mix)
value = int(rng.mix(np.uint64(3)))
hits = sum(rng.mix.stats.cache_hits.values())
assert before == bool(hits)
print(value, hits, rng.__file__)
"""


def _run(copy: Path, cache: Path) -> tuple[int, int, str]:
    """(value, cache hits, what was said on stderr) of a kernel in a fresh process that imports the package from `copy`."""
    env = {**os.environ, "PYTHONPATH": str(copy), "FLEXLAM_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=copy, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    value, hits, where = done.stdout.split()
    assert Path(where).is_relative_to(copy)
    return int(value), int(hits), done.stderr


@pytest.fixture
def copies(tmp_path: Path) -> list[Path]:
    """Two folders with a copy of the package each."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        shutil.copytree(PACKAGE, folder / "flexlam_rl", ignore=shutil.ignore_patterns("__pycache__"))
    return folders


def test_copies_share_machine_code_until_one_is_edited(copies: list[Path], tmp_path: Path) -> None:
    one, two = copies
    cache = tmp_path / "cache"
    value, hits, _ = _run(one, cache)
    assert hits == 0
    assert _run(one, cache)[:2] == (value, 1)
    assert _run(two, cache)[:2] == (value, 1)
    source = two / "flexlam_rl" / "envs" / "litelab" / "rng.py"
    source.write_text(source.read_text().replace("0xBF58476D1CE4E5B9", "0xBF58476D1CE4E5BB"))
    changed, hits, _ = _run(two, cache)
    assert hits == 0
    assert changed != value
    assert _run(one, cache)[:2] == (value, 1)


def test_an_edit_renews_what_depends_on_it_and_nothing_else(copies: list[Path], tmp_path: Path) -> None:
    """items.py imports state.py, rng.py does not."""
    code = "from flexlam_rl.envs.litelab import items, rng; print(items.take._cache.cache_path); print(rng.mix._cache.cache_path)"
    env = {**os.environ, "PYTHONPATH": str(copies[0]), "FLEXLAM_CACHE_DIR": str(tmp_path / "cache")}

    def folders() -> list[str]:
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    items, rng = folders()
    assert items != rng
    with (copies[0] / "flexlam_rl" / "envs" / "litelab" / "state.py").open("a") as source:
        source.write("# edited\n")
    assert folders()[0] != items
    assert folders()[1] == rng


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_without_a_writable_folder_it_warns_once_and_works(copies: list[Path], tmp_path: Path) -> None:
    blocked = tmp_path / "a file, no folder"
    blocked.write_text("")
    value, hits, said = _run(copies[0], blocked)
    assert hits == 0
    assert value == _run(copies[0], tmp_path / "cache")[0]
    assert said.count("is not writable") == 1
    assert "FLEXLAM_CACHE_DIR" in said
