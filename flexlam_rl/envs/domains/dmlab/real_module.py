"""Import of the module `deepmind_lab`."""

import importlib
from types import ModuleType

from flexlam_rl.envs.errors import EngineMissing

_HOW_TO_INSTALL = (
    "The module deepmind_lab cannot be imported ({reason}). Ways to get it: build the wheel with Bazel from the "
    "google-deepmind/lab repository (python/pip_package), run one of the Docker images in which DreamerV3 and "
    "dmlab-gym build it, or use engine='litelab', which needs no build."
)


def load_module() -> ModuleType:
    """Import the module `deepmind_lab`.

    Raises:
        EngineMissing: It cannot be imported; the message names ways to install it.
    """
    try:
        return importlib.import_module("deepmind_lab")
    except ImportError as error:
        raise EngineMissing(_HOW_TO_INSTALL.format(reason=error)) from error
