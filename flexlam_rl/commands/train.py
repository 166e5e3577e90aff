"""`flexlam train --preset tiny --data DIR --out RUN`: LAM, sequence model and translator in a row."""

from flexlam_rl.models.flexlam.pipeline import TrainArgs as Options
from flexlam_rl.models.flexlam.pipeline import figures_line, train_all

__all__ = ["Options", "run"]


def run(options: Options) -> int:
    """Train all stages; a stopped command continues when it is given again."""
    for stage, figures in train_all(options).items():
        print(figures_line(stage, figures))
    return 0
