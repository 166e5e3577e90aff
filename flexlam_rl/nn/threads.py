"""Control of threads: small products are fastest in one thread, because several spend their time waiting for each
other.

`torch.set_num_threads` cannot be used here, because it also changes the number for threads that start meanwhile. OpenMP
and MKL each have a number for the calling thread alone; these are set and restored.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

WORK = 1 << 23
"""Multiplications of a model's largest product from which the caller's number of threads is used: about half a
millisecond in one thread.
"""
_FORKED = False


def _in_child() -> None:
    global _FORKED
    _FORKED = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def forked() -> bool:
    """Whether this process was forked after this module was loaded; the threads of OpenMP and of executors do not exist
    in a fork.
    """
    return _FORKED


@cache
def _setters() -> tuple[Callable[[int], Any], Callable[[int], int] | None] | None:
    """Functions that set the calling thread's number of threads in torch's OpenMP and MKL; None if there are none."""
    try:
        library = ctypes.CDLL(torch._C.__file__)
        # the lower-case name is MKL's function for Fortran, which takes the address of a number
        return library.omp_set_num_threads, getattr(library, "MKL_Set_Num_Threads_Local", None)
    except (AttributeError, OSError, TypeError):
        return None


@contextmanager
def one_thread(work: int | None) -> Iterator[None]:
    """Compute in the calling thread alone if there is little to do, and always in a forked process, which lacks the
    other threads.

    Args:
        work: Multiplications of the largest product; None if unknown, in which case the caller's threads are used.
    """
    wanted = _FORKED or (work is not None and work < WORK)
    before = torch.get_num_threads()  # the first call sets a new thread's number, so it must come before ours
    setters = _setters() if wanted and before > 1 else None
    if setters is None:
        yield
        return
    openmp, mkl = setters
    openmp(1)
    mkl_before = None if mkl is None else mkl(1)
    try:
        yield
    finally:
        openmp(before)
        if mkl is not None:
            mkl(mkl_before or 0)
