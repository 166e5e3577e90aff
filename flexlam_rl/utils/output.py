"""Standard output and error streams that never make a command fail, whatever the terminal, encoding or reader."""

import codecs
import io
import os
import sys
from typing import Any, TextIO

_PLAIN = {"±": "+-", "×": "x", "†": "*", "─": "-", "│": "|", "…": "...", "–": "-", "—": "-", "−": "-"}
ERRORS = "flexlam_rl.plain"
"""Name of the error handler that replaces characters missing in the encoding by plain ASCII ones."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters), error.end


codecs.register_error(ERRORS, _plain)


class _Patient(io.FileIO):
    """A stream that discards its input once its reader has gone, as in `flexlam ... | head`."""

    def write(self, data: Any) -> int:
        """Write `data`, or discard it if the pipe is broken; returns the number of bytes taken either way."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def prepare_output() -> None:
    """Make this process's standard streams safe: closed streams swallow output, a reader that goes away does not stop
    the work, and characters that the encoding lacks are replaced.
    """
    sys.stdout = _safe(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _safe(sys.stderr, sys.__stderr__, 2)


def _safe(stream: TextIO | None, original: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # closed by the caller: without this the next file opened would take its descriptor
        return open(os.devnull, "w", encoding="utf-8")
    if stream is not original or not isinstance(stream, io.TextIOWrapper) or stream.closed:
        return stream  # a notebook's or a test's own
    try:
        stream.flush()
        if stream.fileno() != descriptor:
            return stream
        raw = _Patient(descriptor, "wb", closefd=False)
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, ERRORS, line_buffering=stream.line_buffering or descriptor == 2
    )
