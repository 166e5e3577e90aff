"""The command of one stage: `flexlam train STAGE`, `python -m train.STAGE`."""

from collections.abc import Sequence
from typing import Any

from flexlam_rl.train.run_stage import figures_line, train_stage
from flexlam_rl.train.stages import STAGES
from flexlam_rl.utils import command_line


def main(name: str, arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Train a stage.

    Args:
        name: Name of the stage.
        arguments: Arguments of the command line; None for those of the process.
        prog: Name of the command in messages.

    Returns:
        The exit status.
    """
    prog = prog or f"python -m train.{name}"

    def command() -> None:
        definition = STAGES.get(name)
        options: Any = command_line.parse(definition.options, arguments, prog)
        print(figures_line(definition.place(options).name, train_stage(name, options)))

    return command_line.answer(prog, command)
