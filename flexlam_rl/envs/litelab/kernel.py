"""The decorator of every compiled function of litelab, and where its machine code is cached.

Numba's own cache notices a change of the file a function stands in, but not of the functions it calls in other files,
which litelab's kernels do all the time; and it files machine code under the path of the source, so that each checkout
compiles for itself. Here the folder of a file's kernels is named by a hash of that file and of all litelab files that
it imports, directly or not: an edit compiles afresh what may depend on it and nothing else, and every copy of the same
sources shares the same machine code.
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
    """Files of this project that a file imports directly (it imports by full name, with `from`)."""
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
        f"The cache folder {str(folder)!r} is not writable, so litelab compiles anew in every process; set "
        "FLEXLAM_CACHE_DIR to a writable folder.",
        stacklevel=2,
    )
    return None


F = TypeVar("F", bound=Callable[..., Any])

CACHE_FOLDER = _cache_folder()


class _Locator(_CacheLocator):
    """Tells numba the folder of one function's machine code: the hash of its sources, not their path."""

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
    """Numba's cache, except that what cannot be read is compiled anew.

    An entry may be damaged, name classes that this version of the package no longer has, or have been overwritten by
    another process that compiled the same function for other types at the same moment.
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
    """Compile `function` without the interpreter lock, cached on disk."""
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    if CACHE_FOLDER is not None:
        compiled._cache = _Cache(function)
    return compiled


def loop_kernel(function: F) -> F:
    """`kernel` for a function none of whose array arguments overlap.

    Only with that promise may the compiler turn a loop that reads from tables and writes to arrays into vector
    instructions (it makes those of drawing twice as fast). Numba makes it for its own ufuncs and has no public option
    for it; where a version lacks the hook, the loops still compile as usual.
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
    """Whether machine code of a kernel lies on disk, so that its first call need not compile for minutes."""
    store = getattr(function, "_cache", None)
    return isinstance(store, _Cache) and any(Path(store.cache_path).glob(f"*{function.__name__}-*.nbc"))
