"""`flexlam study reward`: whether a video reward distinguishes the expert's video from others."""

from flexlam_rl.eval.studies.reward.study import STUDY

__all__ = ["STUDY"]
