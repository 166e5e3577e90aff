"""Keeps what the real engine prints out of the way of a program's own output."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

VARIABLE = "FLEXLAM_ENGINE_LOG"
"""Environment variable that, set to anything, shows what the engine prints."""

# PyDLL keeps Python's lock, as the engine does: no other thread of Python prints while its output leads nowhere
_libc = ctypes.PyDLL(None)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what C code prints to standard output and standard error meanwhile, unless FLEXLAM_ENGINE_LOG is set."""
    if os.environ.get(VARIABLE):
        yield
        return
    kept: dict[int, int] = {}
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed, as in a daemon
            kept[number] = os.dup(number)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    _libc.fflush(None)  # what C code printed before belongs to the program
    try:
        for number in kept:
            _libc.dup2(nowhere, number)
        yield
    finally:
        _libc.fflush(None)
        for number, copy in kept.items():
            _libc.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
