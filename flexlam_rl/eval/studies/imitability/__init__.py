"""`flexlam study imitability`: whether a policy that sees pixels can imitate a video. See `study.py`."""

from flexlam_rl.eval.studies.imitability.study import STUDY

__all__ = ["STUDY"]
