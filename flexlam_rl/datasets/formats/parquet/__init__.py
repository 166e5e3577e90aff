"""The Hugging Face parquet layout of the public DMLab expert data (see `importing` for its columns)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from flexlam_rl.datasets.format import Exporter, ExportOptions, Format, Importer, ImportOptions, Split, one_or_all
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.envs.domains.dmlab.levels import level_named
from flexlam_rl.utils.files import Progress
from flexlam_rl.utils.lazy import lazy_names

# pyarrow is loaded where one of these is used
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "by_split": "datasets.formats.parquet.files",
        "export_parquet": "datasets.formats.parquet.exporting",
        "exported_from": "datasets.formats.parquet.files",
        "import_parquet": "datasets.formats.parquet.importing",
        "parquet_files": "datasets.formats.parquet.files",
    },
)


@dataclass(frozen=True, kw_only=True)
class FromParquet(ImportOptions):
    """Files in the layout of the public DMLab expert data; shifted actions are found from the frames and refused."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files in their order, or one folder that holds them."""
    level: str | None = None
    """Name of the level; files that this project exported know theirs."""
    split: Split | None = None
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
class ToParquet(ExportOptions):
    """The layout of the public DMLab expert data: <out>/<level>/*.parquet."""

    last_frames: Literal["drop", "row"] = "drop"
    """The layout has no place for the view after the last action: leave it out, or add a row for it with action -1."""


def _import(options: FromParquet, progress: Progress) -> list[RolloutStore]:
    """Import files, those of each split into a store of its own."""
    from flexlam_rl.datasets.formats.parquet.files import by_split
    from flexlam_rl.datasets.formats.parquet.importing import import_parquet

    groups = by_split(one_or_all(options.files))
    if None in groups and len(groups) > 1:
        named = ", ".join(repr(name) for name in groups if name is not None)
        raise ValueError(
            f"{groups[None][0]} names no split, others are of {named}: import each split by itself, with --split."
        )
    if options.split is not None and len(groups) > 1:
        if options.split not in groups:
            raise ValueError(f"The files are of the splits {', '.join(map(repr, groups))}: none is {options.split!r}.")
        groups = {options.split: groups[options.split]}
    plans = [(files, options.split or split or "train", *_origin(files, options)) for split, files in groups.items()]
    return [
        import_parquet(
            files,
            options.out,
            level,
            split,
            origin,
            alignment="trust" if options.trust else "check",
            shift=options.shift,
            restarts=options.restarts,
            progress=progress,
        )
        for files, split, level, origin in plans
    ]


def _origin(files: list[Path], options: FromParquet) -> tuple[str, Origin]:
    """The level and origin of files of one split."""
    from flexlam_rl.datasets.formats.parquet.files import exported_from

    ours: dict[str, Any] = exported_from(files[0])
    for file in files[1:]:
        if exported_from(file) != ours:
            raise ValueError(f"{file} was exported from other rollouts than {files[0]}: import them one by one.")
    if ours:  # it names its engine and its actions: litelab's data must not pass for the real engine's
        return options.level or ours["level"], Origin.from_attributes(ours)
    if options.level is None:
        raise ValueError(
            f"{files[0]} does not say which level it is from: give --level, a name that `flexlam levels` lists."
        )
    level, actions = level_named(options.level).name, action_set(options.action_set)
    table = tuple(tuple(map(int, row)) for row in actions.rows)
    return level, Origin(
        engine="deepmind_lab",
        textures="original",
        action_set=actions.name,
        action_table=table,
        action_hash=actions.hash,
        policy=options.policy,
    )


def _export(store: RolloutStore, out: Path, options: ToParquet, progress: Progress) -> Path:
    from flexlam_rl.datasets.formats.parquet.exporting import export_parquet

    export_parquet(store, out / store.level, last_frames=options.last_frames, progress=progress)
    return out / store.level


FORMAT = Format(
    "parquet",
    "Hugging Face's parquet layout of the public DMLab expert data",
    Importer(FromParquet, _import),
    Exporter(ToParquet, _export),
)
