"""Can pixels imitate this video? See `study.py`."""

from flexlam_rl.eval.studies.imitability.study import STUDY

__all__ = ["STUDY"]
