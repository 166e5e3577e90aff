"""The embedded engine: a drop-in replacement for the module `deepmind_lab` (`from flexlam_rl.envs import litelab as
deepmind_lab`).
"""

from typing import Any

_FROM_LAB = ("Lab", "runfiles_path", "set_runfiles_path", "version")
_FROM_PROPERTIES = ("LISTABLE", "READABLE", "READ_WRITABLE", "WRITABLE")


def __getattr__(name: str) -> Any:
    # loaded on demand, because importing the engine's compiled parts is slow
    if name in _FROM_LAB:
        from flexlam_rl.envs.litelab import lab

        return getattr(lab, name)
    if name in _FROM_PROPERTIES:
        from flexlam_rl.envs.litelab import properties

        return getattr(properties, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*_FROM_LAB, *_FROM_PROPERTIES))
