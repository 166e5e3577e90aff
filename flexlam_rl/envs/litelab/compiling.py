"""The first compilation of litelab, with drawing in a parallel process, and with reports of progress.

    python -m flexlam_rl.envs.litelab.compiling [ENTRY]

compiles all entry points, or one, into the cache, and prints a line per finished function; for all, the numbers of
functions done and in all.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numba.core import event

from flexlam_rl.envs.litelab import batch, kernel
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.look import load_look
from flexlam_rl.envs.litelab.pool import core_count
from flexlam_rl.utils.startup import interrupts_held

FUNCTIONS = {"begin_range": 251, "play_range": 108, "draw_range": 154}
"""Approximate number of functions that each entry point compiles after those before it, counting several types of one
function.
"""
APART = "draw_range"
"""The entry point that is compiled in another process. The others have most of their functions in common, and one process
compiles these only once.
"""


def is_compiled() -> bool:
    """Whether all of litelab's machine code is cached on disk."""
    return all(kernel.is_compiled(getattr(batch, entry)) for entry in batch.ENTRIES)


def compile_all(report: Callable[[int, int], None]) -> None:
    """Compile the entry points that are not cached yet, on several cores if there are some and the cache is writable.

    Args:
        report: Called with the number of functions done and the approximate total; from several threads, but one at a
            time.
    """
    todo = [entry for entry in batch.ENTRIES if not kernel.is_compiled(getattr(batch, entry))]
    total, done, guard = sum(FUNCTIONS[entry] for entry in todo), 0, threading.Lock()

    def finished() -> None:
        nonlocal done
        with guard:
            done += 1
            report(done, max(total, done + 1))

    here = [entry for entry in todo if entry != APART]
    if here != todo and here and core_count() > 1 and kernel.CACHE_FOLDER is not None:
        with _elsewhere(APART, finished):
            for entry in here:
                _compile(entry, finished)
        todo = [APART]  # if its process has failed, it is compiled here, and otherwise found
    for entry in todo:
        _compile(entry, finished)


def _compile(entry: str, finished: Callable[[], None]) -> None:
    with event.install_listener("numba:compile", _Ends(finished)):
        batch.compiled(entry, **_arguments())


class _Ends(event.Listener):
    """Calls a function at the end of each compilation."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def on_start(self, event: Any) -> None:
        """Do nothing."""

    def on_end(self, event: Any) -> None:
        """Call the function."""
        self._function()


def _arguments() -> dict[str, Any]:
    """Make arguments of the types that `Worlds` passes."""
    return {
        "worlds": np.zeros(1, s.WORLD),
        "jobs": np.zeros(1, batch.JOB),
        "results": np.zeros(1, batch.RESULT),
        "low": 0,
        "high": 0,
        "frames": 1,
        "look": load_look("procedural"),
        "rgb": np.zeros((1, 0, 0, 3), np.uint8),
        "depth": np.zeros((1, 1, 1), np.float32),
        "hud": 0,
    }


@contextlib.contextmanager
def _elsewhere(entry: str, finished: Callable[[], None]) -> Iterator[None]:
    """Compile an entry point in another process while the block runs, and wait for the process at the end."""
    # the package's folder may be on the path of this process only
    root = str(Path(__file__).resolve().parents[3])
    code = f"import sys; sys.path.insert(0, {root!r}); from flexlam_rl.envs.litelab.compiling import main; main()"
    command = [sys.executable, "-c", code, entry]
    with interrupts_held():  # only this process handles Ctrl-C; an error there is discarded, but occurs here again
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    reader = threading.Thread(target=_follow, args=(process.stdout, finished), daemon=True)
    reader.start()
    try:
        yield
        process.wait()
        reader.join()
    finally:
        process.kill()
        process.wait()


def _follow(lines: IO[str], finished: Callable[[], None]) -> None:
    for _ in lines:
        finished()


def main() -> None:
    """Compile the entry point named on the command line, or all."""
    if entries := sys.argv[1:]:
        _compile(entries[0], lambda: print(flush=True))
    else:
        compile_all(lambda done, total: print(done, total, flush=True))


if __name__ == "__main__":
    main()
