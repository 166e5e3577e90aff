"""The commands in the shell blocks of the pages, and where each stands.

A fenced block without a language is a shell block, as is one marked `bash`. Its commands are written as a reader pastes
them, or as a usage line: `[--json]` may be left out, `[VIDEO ...]` given again, `parquet|minari` are alternatives.
"""

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = ("README.md", "CONTRIBUTING.md", "docs/*.md", "flexlam_rl/**/README.md", "results/**/README.md")
SHELL = ("", "bash", "sh", "shell", "console")
SEPARATORS = ("&&", "||", ";", "|")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a page."""

    page: str
    """Path of the page within the repository."""
    line: int
    """Its line there, counted from 1."""
    words: tuple[str, ...]
    """What the shell would make of it, without assignments before it."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


def pages(root: Path = ROOT) -> list[str]:
    """Every page that may show commands, without those that Git ignores at the root (environments, builds)."""
    found = {path.relative_to(root).as_posix() for pattern in PATTERNS for path in root.glob(pattern)}
    return sorted(found)


def commands(page: str, root: Path = ROOT) -> list[Command]:
    """The commands of a page in order."""
    found: list[Command] = []
    values: dict[str, str] = {}
    for line, text in _lines((root / page).read_text()):
        try:
            words = shlex.split(_with_values(text, values), comments=True)
        except ValueError as error:
            raise ValueError(f"{page}:{line}: {error} in {text!r}.") from None
        for separated, given in itertools.groupby(words, SEPARATORS.__contains__):
            if not separated:
                found += _usages(page, line, _assigned(list(given), values))
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines of shell blocks with their numbers; one that ends in a backslash has the next one in it."""
    language, fence, begun, kept = None, "", 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        opened = re.match(r"\s*(`{3,}|~{3,})\s*(\w*)", line)
        if language is None and opened:
            fence, language = opened[1], opened[2]
        elif language is not None and line.strip() == fence:
            language = None
        elif language in SHELL:
            begun = begun if kept else number
            kept += line.removesuffix("\\")
            if not line.endswith("\\"):
                yield begun, kept
                kept = ""


def _with_values(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = re.sub(rf"\${name}\b|\$\{{{name}\}}", lambda _, value=value: value, text)
    return text


def _assigned(words: list[str], values: dict[str, str]) -> list[str]:
    """The words of a command without its assignments; a line of nothing else keeps them for those below."""
    exported = words[:1] == ["export"]
    rest = list(itertools.dropwhile(ASSIGNMENT.fullmatch, words[exported:]))
    if not rest:
        values.update(word.split("=", 1) for word in words[exported:])
    return rest


def _usages(page: str, line: int, words: list[str]) -> Iterator[Command]:
    """One command for each alternative of a usage line, with all that may be left out."""
    plain, inside = [], False
    for word in words:
        if word.startswith("["):
            inside, word = True, word[1:]
        ended = inside and word.endswith("]")
        if ended:
            inside, word = False, word[:-1]
        if word != "..." or not (inside or ended):
            plain.append(word)
    choices = [word.split("|") if re.fullmatch(r"[\w.-]+(\|[\w.-]+)+", word) else [word] for word in plain]
    for chosen in itertools.product(*choices) if plain else ():
        yield Command(page, line, chosen)
