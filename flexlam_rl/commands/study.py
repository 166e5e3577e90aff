"""`flexlam study NAME`: run a study with many trainings; without a name, list the studies."""

from collections.abc import Sequence

from flexlam_rl.eval.studies.registry import STUDIES
from flexlam_rl.utils.command_line import parse


def dispatch(arguments: Sequence[str], prog: str) -> int:
    """Run the command.

    Args:
        arguments: Name of a study, and its options.
        prog: Name of the command in messages.

    Raises:
        ValueError: There is no such study, or its options do not fit.
        SystemExit: --help was printed; the code is 0.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage(prog))
        if arguments:
            raise SystemExit(0)  # as every other command's --help does
        return 0
    name = arguments[0].replace("-", "_")
    study = STUDIES.get(name)
    return study.run(parse(study.options, arguments[1:], f"{prog} {arguments[0]}"))


def _usage(prog: str) -> str:
    width = max(map(len, STUDIES.names()))
    rows = "\n".join(f"  {name:{width}}  {STUDIES.get(name).summary}" for name in STUDIES.names())
    return (
        f"usage: {prog} NAME [OPTIONS]\n\nstudies:\n{rows}\n\n`{prog} NAME --help` lists the options of a study; "
        "--dry-run prints its jobs and hours."
    )
