"""Gymnasium environments over litelab (embedded) and the real DeepMind Lab. The names below are loaded when they are first used."""

import importlib
from typing import Any

if not __name__.startswith("flexlam_rl."):  # run through a link at the root of a checkout
    from flexlam_rl.checkout import leave_root

    leave_root()

_WHERE = {
    "ACTION_SETS": "actions",
    "ActionSet": "actions",
    "DMLabEnv": "dmlab",
    "DMLabVectorEnv": "vector",
    "DmEnvView": "dm_view",
    "InstructionTokens": "wrappers",
    "LEVELS": "levels",
    "LevelCache": "level_cache",
    "SB3VecEnv": "sb3",
    "SUITE": "levels",
    "VectorInstructionTokens": "wrappers",
    "action_set": "actions",
    "dm_env_view": "dm_view",
    "level_named": "levels",
    "make_sb3": "sb3",
    "make_vector": "vector",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"flexlam_rl.envs.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
