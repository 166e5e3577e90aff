"""Progress of long work, with an estimate of the time left: a bar on a terminal, lines elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def lasting_bar(title: str, console: Any = None, every: float = 5.0) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with the time elapsed, which keeps running between reports, and the time left; print lines if there is
    no terminal.

    Args:
        title: Name of the work.
        console: A `rich.console.Console`, which also gets the lines; None for stderr.
        every: Seconds between two lines.

    Yields:
        A function to call with the amount done and the total.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True) if console is None else console
    if console.is_terminal:
        times = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
        columns = (TextColumn("{task.description}"), BarColumn(), *times)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    ended, at, began = threading.Event(), [0, 1], time.monotonic()

    def tell() -> None:
        while not ended.wait(every):
            spent, (done, total) = time.monotonic() - began, at
            left = f", about {spent * (total - done) / done:.0f} s left" if done else ""
            print(f"{title}: {100 * done / total:.0f} %, {spent:.0f} s{left}", file=console.file, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()

    def report(done: int, total: int) -> None:
        at[:] = done, total

    try:
        yield report
    finally:
        ended.set()
        teller.join()
