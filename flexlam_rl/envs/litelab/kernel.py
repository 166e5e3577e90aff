"""The decorator of every compiled function of litelab, and where its machine code is cached.

Numba notices a change of the file a function stands in, but not of the functions it calls in other files. litelab's kernels
call across files all the time, so their cache folder carries a hash of all of litelab's sources: any edit compiles afresh.
"""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

_HERE = Path(__file__).resolve().parent


def _sources_hash() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_HERE.rglob("*.py")):
        digest.update(path.relative_to(_HERE).as_posix().encode())
        digest.update(path.read_bytes())
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
    folder = base / "kernels" / _sources_hash()
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
    numba.config.CACHE_DIR = str(CACHE_FOLDER or "")
    try:
        return numba.njit(nogil=True, cache=CACHE_FOLDER is not None, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before
