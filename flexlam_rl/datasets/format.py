"""`Format`: a file format of rollouts that `flexlam data import` reads or `flexlam data export` writes.

To add a format, write one file in `datasets/formats/` that defines a `Format` called `FORMAT`; its name is the file's,
with `-` for `_`. Other packages register theirs with an entry point of the group `flexlam_rl.formats`. The commands and
their help find formats by themselves. Import large libraries inside the functions that use them, because the help loads
all formats.
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
    """Options of every import. A format's subclass adds its own; its docstring is shown by --help."""

    out: _Out
    """Folder of the collection: the store becomes <out>/<level>/<split>.zarr; run again, an import continues."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of every export. A format's subclass adds its own; its docstring is shown by --help."""

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
    """The reader of a format.

    Attributes:
        options: Subclass of `ImportOptions` for this importer.
        run: Function of (options, progress) that imports the data and returns its stores.
    """

    options: type[ImportOptions]
    run: Callable[[Any, Progress], Sequence[RolloutStore]]


@dataclass(frozen=True)
class Exporter:
    """The writer of a format.

    Attributes:
        options: Subclass of `ExportOptions` for this exporter.
        run: Function of (store, folder for all exports, options, progress) that returns the folder or file that it
            wrote.
    """

    options: type[ExportOptions]
    run: Callable[[RolloutStore, Path, Any, Progress], Path]


@dataclass(frozen=True)
class Format:
    """A file format that rollouts can be imported from, exported to, or both.

    Attributes:
        name: Name on the command line.
        about: Short description, for the help.
        importer, exporter: Reader and writer; None if the format cannot be read or written.
    """

    name: str
    about: str
    importer: Importer | None = None
    exporter: Exporter | None = None


def existing_folder(folder: Path) -> Path:
    """Check that a folder exists and return it.

    Raises:
        ValueError: It is not a folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: expected an existing one.")
    return folder


def one_or_all(files: tuple[Path, ...]) -> Path | list[Path]:
    """Turn a command's list of files into a single path, which may be a folder, or a list of several.

    Raises:
        ValueError: The list is empty, or the single path does not exist.
    """
    if not files:
        raise ValueError("No files to import: expected files, or a folder that contains them.")
    if len(files) == 1:
        if not files[0].exists():
            raise ValueError(f"{files[0]} does not exist: expected a file, or a folder that contains files.")
        return files[0]
    return list(files)
