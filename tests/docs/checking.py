"""Whether a command of a page could be run, found out by the parser that it would meet, and without running it."""

import argparse
import configparser
import contextlib
import io
import os
import re
import runpy
import sys
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import tyro

from flexlam_rl import cli
from tests.docs.blocks import ROOT, Command

PYTHON = re.compile(r"(.*/)?python3?")
ELSEWHERE = ("bazel",)
"""Programs of other projects, in their checkouts."""
LINKS = ("agents", "datasets", "envs", "eval", "train")


class _Parsed(BaseException):
    """Raised in place of what a command does, once its arguments have been parsed."""


def complaint(command: Command) -> str | None:
    """What the command's own parser says against it, None where it would begin its work."""
    words = list(command.words)
    if "..." in words:
        return "It says `...`; expected a command that can be pasted."
    program = words[0].rpartition("/")[2]
    if PYTHON.fullmatch(words[0]):
        return _python(words[1:])
    if program in ELSEWHERE or words[0].startswith("./bazel-bin/"):
        return None
    if words[0].startswith("tools/"):
        return None if os.access(ROOT / words[0], os.X_OK) else f"{words[0]} is no file that can be run."
    if program not in PROGRAMS:
        return f"No check knows the command {words[0]!r}; there are {', '.join((*PROGRAMS, 'python', 'tools/...'))}."
    return PROGRAMS[program](words[1:])


def _flexlam(words: list[str]) -> str | None:
    return _said(lambda: cli.main(words))


def _python(words: list[str]) -> str | None:
    if words[:1] == ["-c"]:
        try:
            compile(words[1], "-c", "exec")
        except SyntaxError as error:
            return str(error)
        return None
    if words[:1] == ["-m"] and words[1:]:
        return _module(words[1], words[2:])
    if not words or not (ROOT / words[0]).is_file():
        return f"There is no file {' '.join(words[:1])!r}."
    with _command_line(words):
        return _said(lambda: runpy.run_path(str(ROOT / words[0]), run_name="__main__"))


def _module(name: str, words: list[str]) -> str | None:
    if name in ("pip", "pytest"):
        return PROGRAMS[name](words)
    return _said(lambda: started(name, words))


def started(name: str, words: list[str]) -> None:
    """Do what `python -m name words` does."""
    # the links at the root are for people: a second copy of the package would register everything again
    full = f"flexlam_rl.{name}" if name.partition(".")[0] in LINKS else name
    with _command_line([name, *words]):
        runpy.run_module(full, run_name="__main__", alter_sys=True)


def _torchrun(words: list[str]) -> str | None:
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_known_args(words)[0]
    if not options.module:
        return "torchrun without -m; expected a module."
    return _module(options.training_script, options.training_script_args)


def _pip(words: list[str]) -> str | None:
    """Extras of this package that it would install."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    for requirement in re.findall(r"(?:\.|flexlam_rl)\[([^\]]*)\]", " ".join(words)):
        for extra in requirement.split(","):
            if extra not in extras:
                return f"There is no extra {extra!r}; there are {', '.join(extras)}."
    return None


def _pytest(words: list[str]) -> str | None:
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    if "-m" in words and words[words.index("-m") + 1] not in [marker.partition(":")[0] for marker in markers]:
        return f"There is no marker {words[words.index('-m') + 1]!r}."
    for word in words:
        if "/" in word and not (ROOT / word.partition("::")[0]).exists():
            return f"There is no {word!r}."
    return None


def _make(words: list[str]) -> str | None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [word for word in words if "=" not in word and word not in targets]
    return f"There is no target {unknown[0]!r}; there are {', '.join(sorted(targets))}." if unknown else None


PROGRAMS: dict[str, Callable[[list[str]], str | None]] = {
    "flexlam": _flexlam,
    "make": _make,
    "pip": _pip,
    "pytest": _pytest,
    "torchrun": _torchrun,
}


@contextlib.contextmanager
def _command_line(words: list[str]) -> Iterator[None]:
    """The arguments of a process that was started in the checkout, where benchmarks/ stands."""
    before, path = sys.argv, list(sys.path)
    sys.argv = words
    sys.path.append(str(ROOT))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before, path


def _said(start: Callable[[], Any]) -> str | None:
    """What a start that ends at its parser prints where that refuses the arguments."""
    errors, out = io.StringIO(), io.StringIO()
    try:
        with _ends_at_the_parser(), contextlib.redirect_stderr(errors), contextlib.redirect_stdout(out):
            start()
    except _Parsed:
        return None
    except SystemExit as stop:
        if not stop.code and not errors.getvalue():  # --help
            return None
    except ImportError as error:  # no such module
        return str(error)
    lines = errors.getvalue().strip().splitlines()
    said = lines[-1] if lines else ""
    return said or (None if out.getvalue() else "It ended without a word.")


@contextlib.contextmanager
def _ends_at_the_parser() -> Iterator[None]:
    parse, parse_args = tyro.cli, argparse.ArgumentParser.parse_args

    def cli_(*given: Any, **named: Any) -> Any:
        parse(*given, **named)
        raise _Parsed

    def parse_args_(*given: Any, **named: Any) -> Any:
        parse_args(*given, **named)
        raise _Parsed

    tyro.cli, argparse.ArgumentParser.parse_args = cli_, parse_args_  # type: ignore[method-assign]
    try:
        yield
    finally:
        tyro.cli, argparse.ArgumentParser.parse_args = parse, parse_args  # type: ignore[method-assign]
