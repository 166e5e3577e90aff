"""Does a video reward tell the expert's video from others? `flexlam study reward`."""

from flexlam_rl.eval.studies.reward.study import STUDY

__all__ = ["STUDY"]
