"""`flexlam study teco`: TECO and what it is compared with, trained with the same arithmetic."""

from flexlam_rl.eval.studies.teco.study import STUDY

__all__ = ["STUDY"]
