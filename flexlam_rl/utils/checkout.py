"""Packages reached through the links at the root of a checkout.

A checkout has links named `envs`, `agents`, `datasets`, `train` and `eval` at its root, so that `python -m eval.suite`
works there. `python -m` puts the root first on `sys.path`, where those links would hide the packages of other libraries
(Hugging Face's `datasets`).
"""

import os
import sys
from pathlib import Path


def leave_root() -> None:
    """Remove the checkout's root from `sys.path`; `flexlam_rl` stays importable because it is already loaded."""
    root = Path(__file__).resolve().parents[2]
    sys.path[:] = [entry for entry in sys.path if Path(entry or os.curdir).resolve() != root]
