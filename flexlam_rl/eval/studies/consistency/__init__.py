"""`flexlam study consistency`: whether a world model's predictions stay consistent over hundreds of frames."""

from flexlam_rl.eval.studies.consistency.study import STUDY

__all__ = ["STUDY"]
