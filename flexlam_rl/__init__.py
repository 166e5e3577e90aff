"""FlexLAM: variable-length latent actions for DeepMind Lab, from environments to evaluation.

Importing this package registers the Gymnasium environments `FlexLAM-DMLab-v0` and `FlexLAM-DMLab/<level>-v0`; it loads neither torch
nor the compiled engine. The names below are loaded when they are first used.
"""

from flexlam_rl.startup import guard

guard()  # before the first slow import; it does nothing unless a command of this package was started

import importlib  # noqa: E402
from typing import Any  # noqa: E402

from flexlam_rl.registration import register_all  # noqa: E402

__version__ = "0.1.0"

_WHERE = {
    "ACTION_SETS": "envs.actions",
    "DMLabEnv": "envs.dmlab",
    "DMLabVectorEnv": "envs.vector",
    "InstructionTokens": "envs.wrappers",
    "LEVELS": "envs.levels",
    "LatentActionPolicy": "agents.policy",
    "LatentActionSpace": "agents.latent_space",
    "SUITE": "envs.levels",
    "VectorInstructionTokens": "envs.wrappers",
    "VectorLatentActionSpace": "agents.latent_space",
    "action_set": "envs.actions",
    "dm_env_view": "envs.dm_view",
    "make_sb3": "envs.sb3",
}
__all__ = [*_WHERE, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"flexlam_rl.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


register_all()
