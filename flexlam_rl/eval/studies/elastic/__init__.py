"""How many tokens does a picture need? See `study.py`."""

from flexlam_rl.eval.studies.elastic.study import STUDY

__all__ = ["STUDY"]
