"""`flexlam data import|export FORMAT`: rollouts of other formats, in and out."""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from flexlam_rl.utils.progress import bar

Out = Annotated[Path, tyro.conf.arg(aliases=("-o",))]


@dataclass(frozen=True, kw_only=True)
class _Into:
    out: Out
    """Folder of the collection: the store becomes <out>/<level>/<split>.zarr; run again, an import continues."""


@dataclass(frozen=True, kw_only=True)
class FromParquet(_Into):
    """Files in the layout of the public DMLab expert data; shifted actions are found from the frames and refused."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files in their order, or one folder that holds them."""
    level: str | None = None
    """Name of the level; files that this project exported know theirs."""
    split: Literal["train", "test"] | None = None
    """Take the files of this split (those of a single other one are called so); by default each split that the files
    name gets a store of its own, train if they name none."""
    action_set: Literal["dreamer15", "impala9"] = "dreamer15"
    """What the numbers of the actions mean."""
    policy: str = "unknown"
    """Who played."""
    trust: bool = False
    """Do not check the alignment of actions and frames."""
    shift: int = 0
    """Take the action of row t from row t + shift."""
    restarts: Literal["auto", "rules", "none"] = "auto"
    """Map restarts from the column map_frame_number, else from the level's rules; always from the rules; or none."""


@dataclass(frozen=True, kw_only=True)
class FromTeco(_Into):
    """A folder of TECO's npz files."""

    folder: tyro.conf.Positional[Path]
    """Holds the files, also in subfolders."""
    level: str = "teco_dmlab"
    """Name of the store."""
    split: Literal["train", "test"] = "train"
    """Split of the store."""
    turns: tuple[int, ...] = ()
    """How far each action looks right, in pixels a frame (left: negative), such as -20 20 0; needed to check the
    alignment.
    """
    no_actions: bool = False
    """Import the video alone."""
    shift: int = 0
    """Take the action of frame t from row t + shift."""
    limit: int | None = None
    """Import no more files than this."""


@dataclass(frozen=True, kw_only=True)
class FromUnplugged(_Into):
    """TFRecords of RL Unplugged's DeepMind Lab data."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files, or one folder that holds tfrecord-*."""
    level: str
    """Name of the level."""
    split: Literal["train", "test"] = "train"
    """Split of the store."""
    limit: int | None = None
    """Import no more episodes than this."""


@dataclass(frozen=True, kw_only=True)
class FromMinari(_Into):
    """A Minari dataset with image observations."""

    folder: tyro.conf.Positional[Path]
    """Folder of its data, <dataset id>/data."""
    level: str | None = None
    """Name of the level; datasets that this project exported know theirs."""
    split: Literal["train", "test"] | None = None
    """Split of the store; by default what the dataset says, else train."""


@dataclass(frozen=True)
class Import:
    """Bring rollouts of another format into a store."""

    do: tyro.conf.OmitSubcommandPrefixes[
        Annotated[FromParquet, tyro.conf.subcommand("parquet")]
        | Annotated[FromTeco, tyro.conf.subcommand("teco")]
        | Annotated[FromUnplugged, tyro.conf.subcommand("rl-unplugged")]
        | Annotated[FromMinari, tyro.conf.subcommand("minari")]
    ]


@dataclass(frozen=True, kw_only=True)
class _From:
    folder: tyro.conf.Positional[Path]
    """Folder of a collection, or of one store in it (`.../<level>/<split>.zarr`)."""
    out: Out
    """Folder to write to; run again, an export continues."""
    level: tuple[str, ...] = ()
    """Only these levels."""
    split: str | None = None
    """Only this split."""


@dataclass(frozen=True, kw_only=True)
class ToParquet(_From):
    """The layout of the public DMLab expert data: <out>/<level>/*.parquet."""

    last_frames: Literal["drop", "row"] = "drop"
    """The layout has no place for the view after the last action: leave it out, or add a row for it with action -1."""


@dataclass(frozen=True, kw_only=True)
class ToMinari(_From):
    """Minari datasets, <out>/dmlab/<level>/<split>-v0; lossless."""

    jpeg: bool = False
    """Store JPEG pictures, as Minari does by itself: smaller, and not the same pictures."""
    format: Literal["hdf5", "arrow"] = "hdf5"
    """Minari's file format."""


@dataclass(frozen=True, kw_only=True)
class ToMp4(_From):
    """Plain videos, <out>/<level>-<split>/episode-000000.mp4; lossy."""


@dataclass(frozen=True)
class Export:
    """Write rollouts in another format."""

    do: tyro.conf.OmitSubcommandPrefixes[
        Annotated[ToParquet, tyro.conf.subcommand("parquet")]
        | Annotated[ToMinari, tyro.conf.subcommand("minari")]
        | Annotated[ToMp4, tyro.conf.subcommand("mp4")]
    ]


def run_import(options: Import) -> int:
    """Import; prints what the stores hold now, and on stderr what they have no place for."""
    what = options.do
    with warnings.catch_warnings(record=True) as said, bar("import") as progress:
        warnings.simplefilter("always", UserWarning)
        if isinstance(what, FromParquet):
            stores = _parquet(what, progress)
        elif isinstance(what, FromTeco):
            from flexlam_rl.datasets.formats.teco import import_teco

            origin = _teco_origin(what.turns) if what.turns else None
            store = import_teco(
                _folder(what.folder),
                what.out,
                what.level,
                what.split,
                origin,
                with_actions=not what.no_actions,
                shift=what.shift,
                limit=what.limit,
                progress=progress,
            )
            stores = [store]
        elif isinstance(what, FromUnplugged):
            from flexlam_rl.datasets.formats.rl_unplugged import import_rl_unplugged

            stores = [
                import_rl_unplugged(
                    _one_or_all(what.files), what.out, what.level, what.split, limit=what.limit, progress=progress
                )
            ]
        else:
            from flexlam_rl.datasets.formats.minari import import_minari

            folder = _folder(what.folder)
            stores = [import_minari(folder, what.out, what.level, what.split, progress=progress)]
    for warning in said:
        print(warning.message, file=sys.stderr)
    for store in stores:
        print(f"{store.path}: {store.episodes} episodes, {store.steps} steps.")
    return 0


def run_export(options: Export) -> int:
    """Export store after store; prints where each went."""
    from flexlam_rl.datasets.store import RolloutStore, find_stores

    what = options.do
    folder = _folder(what.folder)
    for path in find_stores(folder, what.level or None, what.split):
        store = RolloutStore(path)
        # several collections in one folder stay apart
        collection = path.parent.parent
        out = what.out / collection.relative_to(folder) if collection.is_relative_to(folder) else what.out
        with bar(f"{store.level}/{store.split}") as progress:
            if isinstance(what, ToParquet):
                from flexlam_rl.datasets.formats.parquet import export_parquet

                target = out / store.level
                export_parquet(store, target, last_frames=what.last_frames, progress=progress)
            elif isinstance(what, ToMinari):
                from flexlam_rl.datasets.formats.minari import export_minari

                target = out / "dmlab" / store.level / f"{store.split}-v0"
                export_minari(store, target / "data", jpeg=what.jpeg, data_format=what.format, progress=progress)
            else:
                from flexlam_rl.datasets.formats.mp4 import export_mp4

                target = out / f"{store.level}-{store.split}"
                export_mp4(store, target, progress)
        print(f"{target}: {store.episodes} episodes, {store.steps} steps.")
    return 0


def _parquet(what: FromParquet, progress: Any) -> list[Any]:
    """Import files, those of each split into a store of its own."""
    from flexlam_rl.datasets.formats.parquet import by_split, import_parquet

    groups = by_split(_one_or_all(what.files))
    if None in groups and len(groups) > 1:
        named = ", ".join(repr(name) for name in groups if name is not None)
        raise ValueError(
            f"{groups[None][0]} names no split, others are of {named}: import each split by itself, with --split."
        )
    if what.split is not None and len(groups) > 1:
        if what.split not in groups:
            raise ValueError(f"The files are of the splits {', '.join(map(repr, groups))}: none is {what.split!r}.")
        groups = {what.split: groups[what.split]}
    plans = [(files, what.split or split or "train", *_parquet_origin(files, what)) for split, files in groups.items()]
    return [
        import_parquet(
            files,
            what.out,
            level,
            split,
            origin,
            alignment="trust" if what.trust else "check",
            shift=what.shift,
            restarts=what.restarts,
            progress=progress,
        )
        for files, split, level, origin in plans
    ]


def _parquet_origin(files: list[Path], what: FromParquet) -> tuple[str, Any]:
    """The level and origin of files of one split."""
    from flexlam_rl.datasets.formats.parquet import exported_from
    from flexlam_rl.datasets.schema import Origin
    from flexlam_rl.envs.domains.dmlab.actions import action_set
    from flexlam_rl.envs.domains.dmlab.levels import level_named

    ours = exported_from(files[0])
    for file in files[1:]:
        if exported_from(file) != ours:
            raise ValueError(f"{file} was exported from other rollouts than {files[0]}: import them one by one.")
    if ours:  # it names its engine and its actions: litelab's data must not pass for the real engine's
        return what.level or ours["level"], Origin.from_attributes(ours)
    if what.level is None:
        raise ValueError(
            f"{files[0]} does not say which level it is from: give --level, a name that `flexlam levels` lists."
        )
    level, actions = level_named(what.level).name, action_set(what.action_set)
    table = tuple(tuple(map(int, row)) for row in actions.rows)
    return level, Origin(
        engine="deepmind_lab",
        textures="original",
        action_set=actions.name,
        action_table=table,
        action_hash=actions.hash,
        policy=what.policy,
    )


def _teco_origin(turns: tuple[int, ...]) -> Any:
    from flexlam_rl.datasets.schema import Origin

    # how far its actions walk is not documented; the check needs the turns only
    table = tuple((turn, 0, 0, 0, 0, 0, 0) for turn in turns)
    return Origin(engine="deepmind_lab", action_set="teco, turns only", action_table=table, policy="random walk (TECO)")


def _one_or_all(files: tuple[Path, ...]) -> Path | list[Path]:
    if not files:
        raise ValueError("No files to import: expected files, or a folder that holds them.")
    if len(files) == 1:
        if not files[0].exists():
            raise ValueError(f"{files[0]} does not exist: expected a file, or a folder that holds some.")
        return files[0]
    return list(files)


def _folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder.")
    return folder
