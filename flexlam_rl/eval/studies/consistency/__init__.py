"""Do predictions of a world model hold together over hundreds of frames? `flexlam study consistency`."""

from flexlam_rl.eval.studies.consistency.study import STUDY

__all__ = ["STUDY"]
