"""Suppression of the real engine's output, which would mix with the program's own."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

VARIABLE = "FLEXLAM_ENGINE_LOG"
"""Environment variable that shows the engine's output if it is set to any text."""

# PyDLL keeps the GIL, and so does the engine: no other Python thread can print while output is discarded
_libc = ctypes.PyDLL(None)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard all output to stdout and stderr while the block runs, C code's too, unless FLEXLAM_ENGINE_LOG is set."""
    if os.environ.get(VARIABLE):
        yield
        return
    kept: dict[int, int] = {}
    for number in (1, 2):
        with contextlib.suppress(OSError):  # the stream may be closed, as in a daemon
            kept[number] = os.dup(number)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    _libc.fflush(None)  # output that C code has buffered so far must still appear
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
