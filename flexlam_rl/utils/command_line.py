"""The parts that all commands of flexlam_rl share: options from a dataclass, one-sentence errors, a clean Ctrl-C.

A command is a module with a dataclass `Options`, whose fields are its options, and a function `run(options)`.
"""

import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from flexlam_rl.utils.options import former_names
from flexlam_rl.utils.output import prepare_output
from flexlam_rl.utils.startup import INTERRUPTED, WRONG_USE, interrupts_kept, missing_package, ready


def parse(options: type, arguments: Sequence[str] | None, prog: str) -> Any:
    """Build an instance of the dataclass `options` from the command line.

    Args:
        options: Dataclass whose fields are the options.
        arguments: Words after the command's name; None for those of this process.
        prog: Name of the command, for help and errors.

    Raises:
        ValueError: An argument is wrong; the message names it in one sentence.
        SystemExit: With code 0, after `--help` was printed.
    """
    import tyro

    arguments = _todays_flags(options, sys.argv[1:] if arguments is None else arguments)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(options, args=arguments, prog=prog, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(_sentence(complaint.getvalue(), prog)) from None


def _todays_flags(options: type, arguments: Sequence[str]) -> list[str]:
    """Replace former names of options by today's names. Former names are accepted, but --help does not list them."""
    names = former_names(options) if dataclasses.is_dataclass(options) else {}
    flags = {f"--{old.replace('_', '-')}": f"--{new.replace('_', '-')}" for old, new in names.items()}
    out = []
    for text in arguments:
        flag, equals, value = text.partition("=")
        out.append(flags.get(flag.replace("_", "-"), flag) + equals + value)
    return out


def _sentence(box: str, prog: str) -> str:
    """Turn tyro's framed message into one line: the text between its title and the next rule, whatever characters
    draw the frame.
    """
    texts = [line.replace("─", "-").strip("│╭╮╰╯|+ ") for line in box.splitlines()]
    misplaced = re.findall(r"(\S+) \(applied to ([^)]+)\)", " ".join(texts))
    if misplaced:  # tyro repeats the command after each word
        command = misplaced[0][1]
        words = " ".join(word for word, where in misplaced if where == command)
        choices = next((text.partition(": ")[2] for text in texts if text.startswith("Available subcommands:")), "")
        expected = (
            f"expected one of {choices}" if choices else "it stands in the wrong place or belongs to another command"
        )
        return f"`{command}` does not take {words}: {expected}; see {command} --help."
    lines: list[str] = []
    for text in [text for text in texts if text][1:]:  # the first is the title
        if text.strip("-"):
            lines.append(text)
        elif lines:
            break
    return f"{' '.join(lines).rstrip('.') or 'The arguments do not fit'}; see {prog} --help."


def run(options: type, function: Callable[[Any], int | None], arguments: Sequence[str] | None, prog: str) -> int:
    """Run one command and return its exit code. With FLEXLAM_TRACEBACK=1, errors come with a traceback.

    Args:
        options: Dataclass of the command's options.
        function: Does the work; takes an instance of `options` and returns an exit code, or None for 0.
        arguments, prog: As for `parse`.
    """
    return answer(prog, lambda: function(parse(options, arguments, prog)))


def answer(prog: str, work: Callable[[], int | None]) -> int:
    """Call `work` for the command `prog` and return the exit code. A failure prints one line on stderr."""
    prepare_output()
    try:
        ready()
        with interrupts_kept():
            return work() or 0
    except KeyboardInterrupt as stop:
        print(f"{prog}: interrupted{': ' if str(stop) else ''}{stop}.", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, LookupError, OSError, ImportError, RuntimeError) as error:
        if os.environ.get("FLEXLAM_TRACEBACK"):
            raise
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        return wrong_use(prog, missing_package(error) or said)
    except Exception as error:
        # gymnasium's own errors (unknown id, unmet dependency) share no built-in class
        if os.environ.get("FLEXLAM_TRACEBACK") or not type(error).__module__.startswith("gymnasium."):
            raise
        return wrong_use(prog, error)


def wrong_use(prog: str, message: object) -> int:
    """Print an error as one line on stderr and return the exit code for wrong use."""
    print(f"{prog}: {' '.join(str(message).split())}", file=sys.stderr)
    return WRONG_USE
