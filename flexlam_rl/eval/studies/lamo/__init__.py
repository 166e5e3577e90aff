"""`flexlam study lamo`: video prediction by motion against video prediction by states (LaMo, table 1)."""

from flexlam_rl.eval.studies.lamo.study import STUDY

__all__ = ["STUDY"]
