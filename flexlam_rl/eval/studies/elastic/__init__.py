"""`flexlam study elastic`: how many tokens a frame needs. See `study.py`."""

from flexlam_rl.eval.studies.elastic.study import STUDY

__all__ = ["STUDY"]
