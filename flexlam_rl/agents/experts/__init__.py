"""Experts: the policies that play the video that is learned from."""

from flexlam_rl.utils.lazy import lazy_names

_WHERE = {
    "Score": "agents.experts.scores",
    "measure": "agents.experts.scores",
    "score_table": "agents.experts.scores",
}
__all__ = list(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
