"""Small products are computed fastest in one thread: with several, these spend their time waiting for each other.

`torch.set_num_threads` is of no use here: it also changes what threads that start meanwhile will have. OpenMP and MKL
each keep a number for the calling thread alone, which is what is set and restored.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

WORK = 1 << 23
"""Multiplications of a model's largest product from which on the caller's threads are used: about half a millisecond in
one.
"""
_FORKED = False


def _in_child() -> None:
    global _FORKED
    _FORKED = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def forked() -> bool:
    """Whether this process was forked from one that had loaded this module: OpenMP's threads, and an executor's, stayed
    there.
    """
    return _FORKED


@cache
def _setters() -> tuple[Callable[[int], Any], Callable[[int], int] | None] | None:
    """OpenMP's and MKL's numbers of threads of the calling thread, of the libraries that torch itself uses; None where
    there are none.
    """
    try:
        library = ctypes.CDLL(torch._C.__file__)
        # in lower case it is MKL's function for Fortran, which takes the address of a number
        return library.omp_set_num_threads, getattr(library, "MKL_Set_Num_Threads_Local", None)
    except (AttributeError, OSError, TypeError):
        return None


@contextmanager
def one_thread(work: int | None) -> Iterator[None]:
    """Compute in the calling thread alone where there is little to do, and always in a forked process, where other
    threads never come.

    Args:
        work: Multiplications of the largest product; None where that is not known: the caller's threads are then used.
    """
    wanted = _FORKED or (work is not None and work < WORK)
    before = torch.get_num_threads()  # torch sets a new thread's number when it is first asked: before ours, not after
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
