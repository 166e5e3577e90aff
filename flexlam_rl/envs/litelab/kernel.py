"""The decorators of litelab's compiled functions, and the cache of their machine code.

Numba's own cache notices changes of the file that defines a function, but not of functions in other files that it
calls, which is common in litelab. It also stores machine code by the path of the source, so that every checkout
compiles again. Here, the folder of a file's kernels is named by a hash of that file and of all project files that it
imports, directly or not. An edit therefore recompiles exactly what may depend on it, and all copies of the same sources
share their machine code.
"""

import hashlib
import os
import pickle
import re
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

_PACKAGE = Path(__file__).resolve().parents[2]
_IMPORT = re.compile(r"^\s*from flexlam_rl([\w.]*) import (?:\(([^)]*)\)|(.*))", re.MULTILINE)


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Find the files of this project that a file imports directly with `from ... import`, by full names."""
    found = set()
    for package, several, one in _IMPORT.findall(path.read_text(encoding="utf-8")):
        folder = _PACKAGE.joinpath(*package.split(".")[1:])
        found.add(folder.with_suffix(".py"))
        found.update(
            folder / f"{name.split()[0]}.py" for name in (several or one).replace("#", ",").split(",") if name.split()
        )
    return frozenset(p for p in found if p.is_file())


@cache
def _sources_hash(path: Path) -> str:
    """Hash a file and all files of this project that it depends on."""
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
        f"The cache folder {str(folder)!r} is not writable, so litelab is compiled again in every process; set "
        "FLEXLAM_CACHE_DIR to a writable folder.",
        stacklevel=2,
    )
    return None


F = TypeVar("F", bound=Callable[..., Any])

CACHE_FOLDER = _cache_folder()


class _Locator(_CacheLocator):
    """Tells numba the folder of a function's machine code, which depends on the hash of its sources, not on a path."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._hash = _sources_hash(Path(function.__code__.co_filename).resolve())
        self._line = str(function.__code__.co_firstlineno)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        return cls(py_func)

    def get_cache_path(self) -> str:
        return str((CACHE_FOLDER or Path()) / self._hash)

    def get_source_stamp(self) -> str:
        return self._hash

    def get_disambiguator(self) -> str:
        return self._line


class _Store(CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _Cache(FunctionCache):
    """Numba's cache, except that unreadable entries are compiled again instead of raising an error.

    An entry may be damaged, refer to classes that this version of the package no longer has, or have been overwritten
    by another process that compiled the same function for other types at the same moment.
    """

    _impl_class = _Store

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            loaded = super()._load_overload(sig, target_context)
        except Exception:
            self.flush()
            return None
        return loaded if loaded is None or tuple(loaded.signature.args) == tuple(sig) else None

    def _save_overload(self, sig: Any, data: Any) -> None:
        try:
            super()._save_overload(sig, data)
        except (AttributeError, ImportError, EOFError, pickle.UnpicklingError):
            self.flush()
            super()._save_overload(sig, data)


def kernel(function: F) -> F:
    """Compile `function` to run without the GIL, with its machine code cached on disk."""
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    if CACHE_FOLDER is not None:
        compiled._cache = _Cache(function)
    return compiled


def loop_kernel(function: F) -> F:
    """`kernel` for a function whose array arguments never overlap.

    Only with this promise can the compiler vectorize loops that read from tables and write to arrays, which makes those
    of drawing twice as fast. Numba uses it for its own ufuncs, but has no public option for it. If a version of numba
    lacks the hook, the loops are compiled as usual.
    """
    compiled = kernel(function)
    compiler: Any = getattr(compiled, "_compiler", None)
    if hasattr(compiler, "_customize_flags"):

        def no_overlap(flags: Any) -> Any:
            flags.noalias = True
            return flags

        compiler._customize_flags = no_overlap
    return compiled


def is_compiled(function: Callable[..., Any]) -> bool:
    """Whether a kernel's machine code is cached on disk; if not, its first call may compile for minutes."""
    store = getattr(function, "_cache", None)
    return isinstance(store, _Cache) and any(Path(store.cache_path).glob(f"*{function.__name__}-*.nbc"))
