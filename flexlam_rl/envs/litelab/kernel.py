"""The decorator of every compiled function, and where its machine code is cached.

Numba notices a change of the file a function stands in, but not of the functions it calls in other files. litelab's kernels
call across files all the time, so the cache folder of a file's kernels carries a hash of that file and of all files of this project that it
imports, directly or not: an edit compiles afresh what may depend on it, and nothing else.
"""

import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

_PACKAGE = Path(__file__).resolve().parents[2]
_IMPORT = re.compile(r"^\s*from flexlam_rl([\w.]*) import (?:\(([^)]*)\)|(.*))", re.MULTILINE)


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Files of this project that a file imports directly (it imports by full name, with `from`)."""
    found = set()
    for package, several, one in _IMPORT.findall(path.read_text(encoding="utf-8")):
        folder = _PACKAGE.joinpath(*package.split(".")[1:])
        found.add(folder.with_suffix(".py"))
        found.update(folder / f"{name.split()[0]}.py" for name in (several or one).replace("#", ",").split(",") if name.split())
    return frozenset(p for p in found if p.is_file())


@cache
def _sources_hash(path: Path) -> str:
    """Hash of a file and of all files of this project that it depends on."""
    seen: set[Path] = set()
    todo = [path, Path(__file__).resolve()]
    while todo:
        source = todo.pop()
        if source not in seen:
            seen.add(source)
            todo.extend(_imports(source))
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(seen):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> Path | None:
    root = os.environ.get("FLEXLAM_CACHE_DIR")
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flexlam_rl"
    folder = base / "kernels"
    if _writable(folder):
        return folder
    warnings.warn(
        f"The cache folder {str(folder)!r} is not writable, so litelab compiles anew in every process; set FLEXLAM_CACHE_DIR to a writable folder.",
        stacklevel=2,
    )
    return None


F = TypeVar("F", bound=Callable[..., Any])

CACHE_FOLDER = _cache_folder()


def kernel(function: F) -> F:
    """Compile `function` without the interpreter lock, cached on disk."""
    before = numba.config.CACHE_DIR
    if CACHE_FOLDER is not None:
        numba.config.CACHE_DIR = str(CACHE_FOLDER / _sources_hash(Path(function.__code__.co_filename).resolve()))
    try:
        return numba.njit(nogil=True, cache=CACHE_FOLDER is not None, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before
