"""The evaluation suite: normalised returns over the scored levels, with confidence intervals."""

from flexlam_rl.utils.lazy import lazy_names

_WHERE = {
    "Options": "eval.suite.options",
    "run": "eval.suite.command",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
