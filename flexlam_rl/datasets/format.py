"""`Format`: another way to keep rollouts, which `flexlam data import` reads or `flexlam data export` writes.

To add a format, write one file in `datasets/formats/` with a `Format` called `FORMAT`; its name is the file's, with `-`
for `_`. Another package names its own in an entry point of the group `flexlam_rl.formats`. Nothing else is edited: the
commands and their help are made from what is found. Import large libraries in the functions that use them, because all
formats are loaded for the help.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.files import Progress

Split = Literal["train", "test"]
_Out = Annotated[Path, tyro.conf.arg(aliases=("-o",))]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What every import takes; a format's own class adds what it reads, and its docstring is the help."""

    out: _Out
    """Folder of the collection: the store becomes <out>/<level>/<split>.zarr; run again, an import continues."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What every export takes; a format's own class adds to it, and its docstring is the help."""

    folder: tyro.conf.Positional[Path]
    """Folder of a collection, or of one store in it (`.../<level>/<split>.zarr`)."""
    out: _Out
    """Folder to write to; run again, an export continues."""
    level: tuple[str, ...] = ()
    """Only these levels."""
    split: str | None = None
    """Only this split."""


@dataclass(frozen=True)
class Importer:
    """How a format is read.

    Attributes:
        options: A subclass of `ImportOptions`, of this importer alone.
        run: Takes an instance of it and a function to tell how far the import is; gives the stores.
    """

    options: type[ImportOptions]
    run: Callable[[Any, Progress], Sequence[RolloutStore]]


@dataclass(frozen=True)
class Exporter:
    """How a format is written.

    Attributes:
        options: A subclass of `ExportOptions`, of this exporter alone.
        run: Takes a store, the folder for the collection's exports, an instance of the options and a function to tell
            how far the export is; gives the folder or file that it wrote.
    """

    options: type[ExportOptions]
    run: Callable[[RolloutStore, Path, Any, Progress], Path]


@dataclass(frozen=True)
class Format:
    """A format by which rollouts come in, go out, or both.

    Attributes:
        name: As on the command line.
        about: What it is, in a sentence.
        importer, exporter: None where it cannot be read or written.
    """

    name: str
    about: str
    importer: Importer | None = None
    exporter: Exporter | None = None


def existing_folder(folder: Path) -> Path:
    """Give a folder back.

    Raises:
        ValueError: It is none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder.")
    return folder


def one_or_all(files: tuple[Path, ...]) -> Path | list[Path]:
    """Give what a command was given as files: a single one, which may be a folder, or a list.

    Raises:
        ValueError: There are none, or the single one does not exist.
    """
    if not files:
        raise ValueError("No files to import: expected files, or a folder that holds them.")
    if len(files) == 1:
        if not files[0].exists():
            raise ValueError(f"{files[0]} does not exist: expected a file, or a folder that holds some.")
        return files[0]
    return list(files)
