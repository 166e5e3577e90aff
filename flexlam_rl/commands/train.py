"""`flexlam train STAGE`: train one stage; `flexlam train all`, or without a stage: train FlexLAM's stages in a row."""

from collections.abc import Sequence

from flexlam_rl.models.flexlam.pipeline import TrainArgs as Options
from flexlam_rl.models.flexlam.pipeline import figures_line, train_all
from flexlam_rl.train import command, distributed
from flexlam_rl.train.stages import STAGES
from flexlam_rl.utils.command_line import parse

__all__ = ["Options", "dispatch", "run"]

ALL = "all"


def run(options: Options) -> int:
    """Train FlexLAM's stages in a row; the same command continues a stopped one."""
    for stage, figures in train_all(options).items():
        print(figures_line(stage, figures))
    return 0


def dispatch(arguments: Sequence[str], prog: str) -> int:
    """Run the command.

    Args:
        arguments: Name of a stage, and its options; without a stage, the options of `all`.
        prog: Name of the command in messages.

    Raises:
        ValueError: There is no such stage.
    """
    code = _run(arguments, prog)
    distributed.finish()
    return code


def _run(arguments: Sequence[str], prog: str) -> int:
    stage, rest = (ALL, arguments) if not arguments or arguments[0].startswith("-") else (arguments[0], arguments[1:])
    if stage != ALL:
        STAGES.get(stage)
        return command.main(stage, rest, f"{prog} {stage}")
    if list(rest) in (["-h"], ["--help"]):
        print(_usage(prog))
    return run(parse(Options, rest, prog))


def _usage(prog: str) -> str:
    names = (ALL, *STAGES.names())
    what = {ALL: "lam, sequence and translator in a row; also without a name"}
    rows = (f"  {name:{max(map(len, names))}}  {what.get(name) or STAGES.get(name).summary}" for name in names)
    return "\n".join((f"usage: {prog} [STAGE] [OPTIONS]\n\nstages:", *rows)) + (
        f"\n\n`{prog} STAGE --help` lists the options of a stage; those of {ALL} are:\n"
    )
