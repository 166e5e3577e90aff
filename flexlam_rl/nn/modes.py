"""Context managers that give models the torch modes they need, whatever modes the caller has set.

Most modes belong to a thread and are changed only inside a block. Default dtype and matmul precision belong to the
process: the first thread that needs another value sets it, and the last one restores it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

from flexlam_rl.nn.threads import one_thread

P = ParamSpec("P")
R = TypeVar("R")


class _Shared:
    """A setting of the whole process, held at one value while any thread is inside."""

    def __init__(self, get: Callable[[], Any], put: Callable[[Any], None], value: Any) -> None:
        self._get, self._put, self._value = get, put, value
        self._lock, self._inside, self._before = threading.Lock(), 0, value
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._alone)

    def _alone(self) -> None:
        """Reset after a fork: the threads that were inside do not exist in the child."""
        if self._inside:
            self._put(self._before)
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = self._get()
                if self._before != self._value:
                    self._put(self._value)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before != self._value:
                self._put(self._before)


def _matmul_precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set through torch's newer interface, which this one cannot read; leave it unchanged
        return "highest"


_PRECISION = _Shared(_matmul_precision, torch.set_float32_matmul_precision, "highest")
_DTYPE = _Shared(torch.get_default_dtype, torch.set_default_dtype, torch.float32)


@contextmanager
def _apart(grad: bool) -> Iterator[None]:
    """Switch off inference mode, autocast and the default device, and set whether gradients are recorded."""
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(grad))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def neutral_modes() -> Iterator[None]:
    """Run a block or a decorated function that trains as in a fresh process.

    Inside, new tensors are float32 and on the CPU, gradients are recorded, and inference mode and autocast are off.
    Afterwards, the caller's modes are back. Deterministic algorithms, matmul precision and threads stay as the caller
    set them.
    """
    with _apart(True), _DTYPE:
        yield


@contextmanager
def own_modes(work: int | None = None, *, grad: bool = False) -> Iterator[None]:
    """Run a block that computes with a trained model, independently of the caller's inference mode, gradients,
    autocast, default device, matmul precision and threads.

    Args:
        work: Multiplications of the largest product on a CPU; small ones are computed in one thread. None leaves the
            number of threads unchanged.
        grad: Whether gradients are recorded inside.
    """
    with _apart(grad), _PRECISION, one_thread(work):
        yield


def in_own_modes(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that it computes in `own_modes`, without gradients."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with own_modes():
            return function(*args, **kwargs)

    return inner


def built_plainly(build: Callable[P, R]) -> Callable[P, R]:
    """Decorate a constructor so that weights are float32 and trainable, whatever default dtype and inference mode are
    set.
    """

    @wraps(build)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(False), _DTYPE:
            return build(*args, **kwargs)

    return inner
