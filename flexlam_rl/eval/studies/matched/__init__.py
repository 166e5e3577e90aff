"""FlexLAM against Fixed-K models at equal budgets, over seeds: see `study.py`."""

from flexlam_rl.eval.studies.matched.study import STUDY

__all__ = ["STUDY"]
