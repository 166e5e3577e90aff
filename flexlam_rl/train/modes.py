"""Independence of the caller's torch modes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def neutral_modes() -> Iterator[None]:
    """Run a block, or a decorated function, as in a fresh process.

    Inside, new tensors are float32 and on the CPU, gradients are recorded, and neither inference mode nor autocast is
    on; afterwards the caller's modes are back. Deterministic algorithms stay as the caller wants them.
    """
    before = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
