"""A persistent pool of threads for compiled calls that release the GIL."""

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any


def core_count() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _work(tasks: "SimpleQueue[Any]", done: "SimpleQueue[Any]") -> None:
    while True:
        task = tasks.get()
        if task is None:
            return
        try:
            task()
            done.put(None)
        except BaseException as error:  # passed to the caller of run
            done.put(error)
        del task


def _end_threads(pid: int, tasks: "SimpleQueue[Any]", threads: int) -> None:
    if pid == os.getpid():  # the threads do not exist in a forked process
        for _ in range(threads):
            tasks.put(None)


class Pool:
    """Runs lists of calls on several threads, including the calling one.

    Threads start at the first use in a process, so a process may fork before or between uses. A copy, also a pickled
    one, starts its own threads. The threads of a pool end when the pool is garbage-collected.

    Args:
        threads: Number of threads.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pid = -1
        self._end: Any = None
        self._tasks: SimpleQueue[Any] = SimpleQueue()
        self._done: SimpleQueue[Any] = SimpleQueue()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._tasks, self._done = SimpleQueue(), SimpleQueue()
        for _ in range(self.threads - 1):
            threading.Thread(target=_work, args=(self._tasks, self._done), name="litelab", daemon=True).start()
        self._end = weakref.finalize(self, _end_threads, self._pid, self._tasks, self.threads - 1)
        self._end.atexit = False  # at the end of the process, its threads end anyway

    def run(self, calls: Sequence[Callable[[], Any]]) -> None:
        """Run all calls and return when the last one has ended; an exception in any call is raised here."""
        if self.threads == 1 or len(calls) == 1:
            for call in calls:
                call()
            return
        if self._pid != os.getpid():
            self._start()
        tasks, done = self._tasks, self._done
        for call in calls[1:]:
            tasks.put(call)
        failure: BaseException | None = None
        own: Any = calls[0]
        waiting = len(calls) - 1
        while own is not None:
            try:
                own()
            except BaseException as error:
                failure = error
            # run the calls that no thread has started yet
            try:
                own = tasks.get_nowait()
                waiting -= 1
            except Exception:
                own = None
        for _ in range(waiting):
            failure = done.get() or failure
        if failure is not None:
            raise failure

    def __reduce__(self) -> tuple[Any, ...]:
        return Pool, (self.threads,)

    def close(self) -> None:
        """Stop the threads."""
        if self._end is not None:
            self._end()
        self._pid = -1
