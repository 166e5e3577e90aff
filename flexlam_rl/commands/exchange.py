"""`flexlam data import|export FORMAT`: read and write rollouts in other formats, those of `FORMATS`."""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from flexlam_rl.commands.common import subcommands
from flexlam_rl.datasets.format import Exporter, Format, Importer, existing_folder
from flexlam_rl.datasets.formats import FORMATS
from flexlam_rl.datasets.store import RolloutStore, find_stores
from flexlam_rl.utils.progress import lasting_bar

Run = Callable[[Any], int]


def formats() -> list[Format]:
    """Return all formats; one of another package that cannot be loaded is left out, with a line on stderr."""
    found = []
    for name in FORMATS.names():
        try:
            if not isinstance(one := FORMATS.get(name), Format):
                raise TypeError(f"{one!r} is not a Format")
            found.append(one)
        except Exception as error:
            print(
                f"The format {name!r} is left out, because it cannot be loaded: {str(error).rstrip('.')}.",
                file=sys.stderr,
            )
    return found


def import_options(known: Iterable[Format]) -> Any:
    """Make the options of `flexlam data import`, with one subcommand per format that can be read."""
    readers = {one.name: one.importer for one in known if one.importer is not None}
    runs = {name: (one.options, partial(run_import, one)) for name, one in readers.items()}
    return _subcommands("Import", "Read rollouts of another format into a store.", runs)


def export_options(known: Iterable[Format]) -> Any:
    """Make the options of `flexlam data export`, with one subcommand per format that can be written."""
    writers = {one.name: one.exporter for one in known if one.exporter is not None}
    runs = {name: (one.options, partial(run_export, one)) for name, one in writers.items()}
    return _subcommands("Export", "Write rollouts in another format.", runs)


def _subcommands(title: str, about: str, runs: Mapping[str, tuple[type, Run]]) -> Any:
    """Make the options, a class whose `runs` holds the function of each subcommand."""
    by_class: dict[type, Run] = {}
    for name, (options, run) in runs.items():
        if by_class.setdefault(options, run) is not run:
            raise ValueError(f"The format {name!r} has the options {options.__name__} of another: give it its own.")
    made = subcommands(title, about, {name: options for name, (options, _) in runs.items()})
    made.runs = by_class
    return made


def run_import(importer: Importer, options: Any) -> int:
    """Import rollouts; print what the stores now hold, and on stderr what they cannot hold."""
    with warnings.catch_warnings(record=True) as said, lasting_bar("import") as progress:
        warnings.simplefilter("always", UserWarning)
        stores = importer.run(options, progress)
    for warning in said:
        print(warning.message, file=sys.stderr)
    for store in stores:
        print(f"{store.path}: {store.episodes} episodes, {store.steps} steps.")
    return 0


def run_export(exporter: Exporter, options: Any) -> int:
    """Export the stores one by one; print the file of each, and on stderr what it does not keep."""
    folder = existing_folder(options.folder)
    for path in find_stores(folder, options.level or None, options.split):
        store = RolloutStore(path)
        # several collections in one folder get separate targets
        collection = path.parent.parent
        out = options.out / collection.relative_to(folder) if collection.is_relative_to(folder) else options.out
        with warnings.catch_warnings(record=True) as said, lasting_bar(f"{store.level}/{store.split}") as progress:
            warnings.simplefilter("always", UserWarning)
            target = exporter.run(store, out, options, progress)
        for warning in said:
            print(warning.message, file=sys.stderr)
        print(f"{target}: {store.episodes} episodes, {store.steps} steps.")
    return 0
