"""Ctrl-C and SIGTERM: a run ends after its current step, which is saved; a second signal ends it at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from flexlam_rl.utils.startup import interrupt


class Stop:
    """Request to stop: whether there is one, and whether the run can end in order."""

    def __init__(self) -> None:
        self.asked = False
        self.patient = False
        """True while the loop checks `asked` after each step; otherwise, a signal interrupts at once."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if not self.patient or self.asked:
            interrupt(number, frame)
        self.asked = True


_active: Stop | None = None


@contextmanager
def stopping() -> Iterator[Stop]:
    """Turn Ctrl-C and SIGTERM into a request to stop while the block runs; nested blocks share the request.

    The caller's own handlers, ignored signals and threads other than the main one are not changed.
    """
    global _active
    if _active is not None:
        yield _active
        return
    stop, before = Stop(), {}
    if threading.current_thread() is threading.main_thread():
        usual = {signal.SIGINT: (signal.default_int_handler, interrupt), signal.SIGTERM: (signal.SIG_DFL,)}
        for number, handlers in usual.items():
            if signal.getsignal(number) in handlers:
                before[number] = signal.signal(number, stop)
        _active = stop
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before or _active is stop:
            _active = None


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """End on Ctrl-C and SIGTERM with a KeyboardInterrupt whose message says how to continue.

    Args:
        out: Folder in which the same command continues.
    """
    with stopping():
        try:
            yield
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(str(stop) or f"nothing in {out} is lost; the same command continues") from None
