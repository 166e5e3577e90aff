"""Experts: who plays the video that is learned from."""

from flexlam_rl.utils.lazy import lazy_names

_WHERE = {
    "Score": "agents.experts.measure",
    "measure": "agents.experts.measure",
    "score_table": "agents.experts.measure",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
