"""Wrappers for Gymnasium environments."""

from flexlam_rl.utils.lazy import lazy_names

_WHERE = {
    "InstructionTokens": "envs.wrappers.instructions",
    "VectorInstructionTokens": "envs.wrappers.instructions",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
