"""`flexlam data`: look at rollouts on disk, draw labels from them, search budgets, import and export."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from flexlam_rl.commands import budgets, exchange, labels
from flexlam_rl.commands.common import need_data, subcommands
from flexlam_rl.utils.progress import lasting_bar

SPEED_SECONDS = 2.0  # seconds for the pairs of all stores together, and again for the windows


def speed_seconds(stores: int) -> float:
    """Return the seconds for each measurement of a store; fewer with many stores, so that the command stays short."""
    return min(1.0, SPEED_SECONDS / stores)


@dataclass(frozen=True, kw_only=True)
class _Where:
    folder: tyro.conf.Positional[Path]
    """Folder of a collection, or of one store in it (`.../<level>/<split>.zarr`)."""
    level: tuple[str, ...] = ()
    """Only these levels."""
    split: str | None = None
    """Only this split."""


@dataclass(frozen=True, kw_only=True)
class Inspect(_Where):
    """Show counts, returns, actions, sizes and reading speed."""

    json: bool = False
    """Print JSON instead of tables."""
    speed: bool = True
    """Measure random pairs and windows per second, in a few seconds for all stores together."""


@dataclass(frozen=True, kw_only=True)
class Validate(_Where):
    """Read everything, compare it with its checksums, and name what is damaged; exit code 1 if anything is."""

    threads: int = 2
    """Number of threads that decode."""


@dataclass(frozen=True, kw_only=True)
class Sheet(_Where):
    """Draw a contact sheet (PNG) of each store: frames spread over it."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("sheets")
    """File to write, ending in .png, or a folder for one file per store."""
    count: int = 16
    """Number of frames on a sheet."""
    episode: int | None = None
    """Number of the episode to take frames from; by default all episodes."""


@dataclass(frozen=True, kw_only=True)
class Video(_Where):
    """Write an episode as mp4, with actions and rewards drawn into the frames."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("videos")
    """File to write, ending in .mp4, or a folder for one file per store."""
    episode: int = 0
    """Number of the episode; a negative one counts from the end."""
    plain: bool = False
    """Draw nothing into the frames, and keep their size."""


def __getattr__(name: str) -> Any:
    if name == "Options":  # made on demand, because formats may be registered later
        return _options()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _options() -> Any:
    formats = exchange.formats()
    own = {"inspect": Inspect, "validate": Validate, "sheet": Sheet, "video": Video, "labels": labels.Labels}
    own["budgets"] = budgets.Budgets
    made = {"import": exchange.import_options(formats), "export": exchange.export_options(formats)}
    about = "Look at rollouts on disk, draw labels from them, search budgets of transitions, import and export."
    return subcommands("Options", about, own | made)


def run(options: Any) -> int:
    """Run the subcommand."""
    need_data()
    from flexlam_rl.datasets.store import RolloutStore, find_stores

    what = options.do
    if isinstance(what, labels.Labels):
        return labels.run(what)
    if isinstance(what, budgets.Budgets):
        return budgets.run(what)
    if hasattr(what, "runs"):  # import and export
        done: int = what.runs[type(what.do)](what.do)
        return done
    if not what.folder.is_dir():
        raise ValueError(f"{what.folder} is no folder: expected a collection of rollouts.")
    paths = find_stores(what.folder, what.level or None, what.split)
    if isinstance(what, Validate):
        return _validate(paths, what.threads)
    stores = [RolloutStore(path) for path in paths]
    if isinstance(what, Inspect):
        return _inspect(stores, what)
    if isinstance(what, Sheet):
        return _sheets(stores, what)
    return _videos(stores, what)


def _validate(paths: list[Path], threads: int) -> int:
    from flexlam_rl.datasets.validate import validate

    reports = []
    for path in paths:
        with lasting_bar(f"{path.parent.name}/{path.stem}") as progress:
            reports.append(validate(path, progress, threads))
    for found in reports:
        state = "good" if found.good else f"{len(found.problems)} problems"
        print(f"{found.path}: {found.rows} rows, {found.episodes} episodes, {found.nbytes} bytes: {state}")
        for problem in found.problems:
            print(f"  {problem}")
    return int(not all(found.good for found in reports))


def _inspect(stores: list[Any], options: Inspect) -> int:
    from flexlam_rl.datasets.look import summary, throughput

    found = []
    seconds = speed_seconds(len(stores))
    for store in stores:
        entry = summary(store) | (throughput(store, seconds) if options.speed else {})
        entry["references"] = _references(store) | entry["references"]
        found.append(entry)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    _print_tables(stores, found)
    return 0


def _references(store: Any) -> dict[str, float]:
    """Return the known returns of the store's level on its own engine; those of other engines are never shown."""
    from flexlam_rl.envs.domains.dmlab.levels import LEVELS
    from flexlam_rl.envs.domains.dmlab.returns import litelab_table

    level = LEVELS.get(store.level)
    if level is None:
        return {}
    if store.origin.engine == "deepmind_lab":
        known = {"random": level.random, "human": level.human, "paper expert": level.expert}
        return {name: value for name, value in known.items() if value is not None}
    table = litelab_table()
    same = ("engine", "action_set", "frame_skip")
    if any(getattr(store.origin, name) != table[name] for name in same) or level.name not in table["levels"]:
        return {}
    rows = table["levels"][level.name]
    return {"random": round(rows["random"]["mean"], 2), "scripted expert": round(rows["expert"]["mean"], 2)}


def _print_tables(stores: list[Any], found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from flexlam_rl.datasets.look import action_names

    columns: dict[str, Callable[[dict[str, Any]], Any]] = {
        "level/split": lambda e: f"{e['level']}/{e['split']}",
        "episodes": lambda e: f"{e['episodes']:,}" + (f" ({e['cut_episodes']} cut)" if e["cut_episodes"] else ""),
        "steps": lambda e: f"{e['steps']:,}",
        "restarts": lambda e: f"{e['restarts']:,}",
        "return": lambda e: _return(e.get("return")),
        "references": lambda e: ", ".join(f"{name} {value:g}" for name, value in e["references"].items()),
        "B/frame": lambda e: f"{e['bytes_per_frame']:,.0f} ({e['raw_fraction']:.0%})",
        "pairs/s": lambda e: f"{e['pairs_per_s']:,.0f}" if "pairs_per_s" in e else "",
        "windows/s": lambda e: f"{e['windows_per_s']:,.0f}" if "windows_per_s" in e else "",
    }
    console = Console()
    if not console.is_terminal:
        console.width = 160
    for what in sorted(
        {f"{e['engine']}, textures {e['textures'] or 'unknown'}, played by {e['policy']}" for e in found}
    ):
        console.print(what)
    table = Table(*columns, box=None, header_style="bold")
    for entry in found:
        table.add_row(*(str(value(entry)) for value in columns.values()))
    console.print(table)
    for store, entry in zip(stores, found, strict=True):
        title = f"{entry['level']}/{entry['split']}"
        if entry.get("dimensions"):
            ranges = Table("action", "smallest", "mean", "largest", box=None, title=title, title_justify="left")
            for i, numbers in enumerate(entry["dimensions"]):
                ranges.add_row(str(i), *(f"{number:.4g}" for number in numbers.values()))
            console.print(ranges)
        if "steps_with_actions" in entry:
            console.print(f"{title}: {entry['steps_with_actions']:,} of {entry['steps']:,} steps have a known action")
        if not entry.get("actions"):
            continue
        names, total = action_names(store), max(1, sum(entry["actions"]))
        histogram = Table(
            "action",
            "steps",
            "",
            box=None,
            header_style="bold",
            title=title,
            title_justify="left",
        )
        for i, count in enumerate(entry["actions"]):
            histogram.add_row(
                f"{i} {names[i] if i < len(names) else ''}", f"{count:,}", "#" * round(60 * count / total)
            )
        console.print(histogram)


def _return(found: dict[str, Any] | None) -> str:
    if found is None or found["mean"] is None:
        return ""
    error = found["standard_error"]
    return f"{found['mean']:.2f}" + (f" ± {error:.2f}" if error is not None else "")


def _targets(stores: list[Any], out: Path, ending: str) -> list[Path]:
    """Return a file per store: `out` itself for a single store, or files in the folder `out`, which is made."""
    if out.suffix and not out.is_dir():
        if out.suffix != ending:
            raise ValueError(f"Cannot write {out}: expected a file that ends in {ending}, or a folder.")
        if len(stores) > 1:
            raise ValueError(
                f"{out} is one file, but there are {len(stores)} stores: give a folder, or choose with --level and "
                "--split."
            )
        return [out]
    names = [f"{store.level}-{store.split}" for store in stores]
    if len(set(names)) < len(names):  # several collections of the same levels
        names = [f"{store.path.resolve().parents[1].name}-{name}" for store, name in zip(stores, names, strict=True)]
    if len(set(names)) < len(names):
        raise ValueError(
            f"Two stores are both called {max(names, key=names.count)}: look at their collections one by one."
        )
    out.mkdir(parents=True, exist_ok=True)
    return [out / f"{name}{ending}" for name in names]


def _sheets(stores: list[Any], options: Sheet) -> int:
    from flexlam_rl.datasets.look import sheet_pictures
    from flexlam_rl.utils.pictures import contact_sheet, write_png

    sheets = (contact_sheet(sheet_pictures(store, options.count, options.episode)) for store in stores)
    first = next(sheets)  # wrong options raise before a folder is made
    for path, sheet in zip(_targets(stores, options.out, ".png"), itertools.chain([first], sheets), strict=True):
        write_png(path, sheet)
        print(path)
    return 0


def _videos(stores: list[Any], options: Video) -> int:
    from flexlam_rl.datasets.look import episode_pictures
    from flexlam_rl.utils.video import write_video

    for store in stores:  # before a folder is made
        if options.plain and store.frames.row[-1] not in (1, 3):
            raise ValueError(
                f"{store.path} has frames of {store.frames.row[-1]} channels: a plain video has 1 or 3; leave out "
                "--plain."
            )
        if not -store.episodes <= options.episode < store.episodes:
            raise ValueError(f"Episode {options.episode} of {store.path}: it has {store.episodes} episodes.")
    for store, path in zip(stores, _targets(stores, options.out, ".mp4"), strict=True):
        pictures = (
            iter(store.episode_at(options.episode).frames)
            if options.plain
            else episode_pictures(store, options.episode)
        )
        write_video(path, pictures, fps=store.fps)
        print(path)
    return 0
