"""`flexlam study lamo`: video predicted by its motion against video predicted by its states (LaMo, table 1)."""

from flexlam_rl.eval.studies.lamo.study import STUDY

__all__ = ["STUDY"]
