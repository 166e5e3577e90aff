"""`flexlam study matched`: FlexLAM against Fixed-K models at equal budgets, over seeds. See `study.py`."""

from flexlam_rl.eval.studies.matched.study import STUDY

__all__ = ["STUDY"]
