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

# pyarrow is loaded only when one of these is used
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
    """Files in the layout of the public DMLab expert data. Data whose actions are shifted is detected and refused."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files in order, or one folder that contains them."""
    level: str | None = None
    """Name of the level; may be left out for files that this project exported."""
    split: Split | None = None
    """Import only the files of this split; if all files are of a single other split, they are imported as this one. By
    default each split that the files name gets its own store; files without a split become train."""
    action_set: Literal["dreamer15", "impala9"] = "dreamer15"
    """Action set that the numbers of actions refer to."""
    policy: str = "unknown"
    """Name of the policy that played."""
    trust: bool = False
    """Do not check the alignment of actions and frames."""
    shift: int = 0
    """Take the action of row t from row t + shift."""
    restarts: Literal["auto", "rules", "none"] = "auto"
    """Source of map restarts. auto: the column restart or map_frame_number, else the level's rules; rules: the level's
    rules; none: no restarts."""


@dataclass(frozen=True, kw_only=True)
class ToParquet(ExportOptions):
    """The layout of the public DMLab expert data: <out>/<level>/*.parquet."""

    last_frames: Literal["drop", "row"] = "drop"
    """What to do with the view after the last action, which has no place in the layout: drop leaves it out, row adds a
    row with action -1."""


def _import(options: FromParquet, progress: Progress) -> list[RolloutStore]:
    """Import files, each split into its own store."""
    from flexlam_rl.datasets.formats.parquet.files import by_split
    from flexlam_rl.datasets.formats.parquet.importing import import_parquet

    groups = by_split(one_or_all(options.files))
    if None in groups and len(groups) > 1:
        named = ", ".join(repr(name) for name in groups if name is not None)
        raise ValueError(
            f"{groups[None][0]} names no split, but other files are of {named}: import each split by itself, with "
            "--split."
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
    """Find the level and origin of files of one split."""
    from flexlam_rl.datasets.formats.parquet.files import exported_from

    ours: dict[str, Any] = exported_from(files[0])
    for file in files[1:]:
        if exported_from(file) != ours:
            raise ValueError(f"{file} was exported from other rollouts than {files[0]}: import them one by one.")
    if ours:  # its own origin names the engine: litelab's data must not pass for the real engine's
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
