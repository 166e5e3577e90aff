"""Progress bars with an estimate of the time left. Bars are drawn on terminals only."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr while the block runs.

    Yields:
        A function to call with the amount done and the total.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def lasting_bar(title: str, console: Any, every: float = 5.0) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with the time elapsed, which keeps running between reports; print lines if there is no terminal.

    Args:
        title: Name of the work.
        console: A `rich.console.Console`.
        every: Seconds between two lines.

    Yields:
        A function to call with the amount done and the total.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    ended, at, began = threading.Event(), [0, 1], time.monotonic()

    def tell() -> None:
        while not ended.wait(every):
            share = f"{100 * at[0] / at[1]:.0f} %, {time.monotonic() - began:.0f} s"
            print(f"{title}: {share}", flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()

    def report(done: int, total: int) -> None:
        at[:] = done, total

    try:
        yield report
    finally:
        ended.set()
        teller.join()
