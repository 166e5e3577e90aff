"""Import of TECO's DMLab videos: one npz per trajectory, `video` (T, 64, 64, 3) uint8 and `actions` (T,).

The dataset has 40,000 walks of 300 frames through random mazes, with three actions and no rewards; it is meant for
pretraining and prediction. It does not document how actions are aligned with frames, so the alignment is checked with
the frames if the turns of the actions are given. Files of `export_teco` come back with origin, pose, depth, seeds and
ends.
"""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from flexlam_rl.datasets.alignment import check_alignment
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.format import Importer, ImportOptions, Split, existing_folder
from flexlam_rl.datasets.formats.teco.exporting import RECORD
from flexlam_rl.datasets.import_source import stored_lengths
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter, store_path
from flexlam_rl.utils.errors import DamagedData
from flexlam_rl.utils.files import Progress, no_progress, read_json
from flexlam_rl.utils.numbers import exact

WALK = "random walk (TECO)"


def import_teco(
    folder: str | Path,
    root: str | Path,
    level: str | None = None,
    split: str | None = None,
    origin: Origin | None = None,
    *,
    with_actions: bool = True,
    shift: int = 0,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> RolloutStore:
    """Import a folder of npz files, in the order of their names. After an interruption, the same call continues.

    Args:
        folder: Folder that contains the files, also in subfolders.
        root: Folder of the collection to write to.
        level, split: Level and split of the store; by default those of an export's `RECORD`, else "teco_dmlab" and
            "train".
        origin: Where the data comes from. By default the origin in `RECORD`, which is trusted. If another origin has an
            action table, the alignment of actions and frames is checked on the first files; the store's source says
            whether it was checked.
        with_actions: False imports the video only.
        shift: Take the action of frame t from row t + shift.
        limit: Largest number of files to import; None for all.
        progress: Called with the number of files read and the total.

    Returns:
        The store.

    Raises:
        ValueError: There are no files, `video` and `actions` of a file are missing or differ in length, or an action is
            negative or not in the action table.
        StoreError: The store was imported from other files or with other options.
        Misaligned: The actions are shifted against the frames, or the frames cannot tell.
        DamagedData: A file cannot be read.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}: expected at least 1 file.")
    files = sorted(Path(folder).rglob("*.npz"))[:limit]
    if not files:
        raise ValueError(f"{folder} contains no npz files: expected TECO's, one per trajectory.")
    told = read_json(Path(folder) / RECORD) if (Path(folder) / RECORD).exists() else {}
    trusted = origin is None and bool(told)
    if origin is None:
        origin = Origin.from_attributes(told["origin"]) if told else Origin(engine="deepmind_lab", policy=WALK)
    level, split = level or told.get("level", "teco_dmlab"), split or told.get("split", "train")
    extra = {name: (dtype, tuple(row)) for name, (dtype, row) in told.get("extra", {}).items()}
    checked = bool(origin.action_table) and with_actions and not trusted
    names = [file.relative_to(folder).as_posix() for file in files]
    alignment = "told by the export" if trusted else "checked" if checked else "not checked"
    source: dict[str, Any] = {"format": "teco", "files": names, "shift": shift, "alignment": alignment}
    source["rewards"] = "none in the files: zeros stand for them" if with_actions else "none"
    there = stored_lengths(store_path(root, level, split), source)
    if checked:
        parts = [_load(file, shift) for file in files[:8]]
        frames = np.concatenate([video[: len(actions)] for video, actions in parts])
        actions = np.concatenate([actions for _, actions in parts])
        usable = np.concatenate([np.append(np.ones(len(actions) - 1, bool), False) for _, actions in parts])
        check_alignment(frames, actions, origin.action_table, usable, str(folder))
    if extra and shift:
        raise ValueError(f"shift is {shift}: expected 0, because {Path(folder) / RECORD} says that rows are aligned.")
    origin = replace(origin, source=source)
    with RolloutWriter(root, level, split, origin, with_actions=with_actions, extra=extra) as writer:
        batch: list[Episode] = []
        for key, file in enumerate(files):
            progress(key, len(files))
            if key in there:
                continue
            video, actions = _load(file, shift)
            more = _more(file, extra, told)
            batch.append(Episode(video, actions, np.zeros(len(actions), np.float32), key=key, **more))
            if len(batch) == 16:
                writer.append_episodes(batch)
                batch = []
        writer.append_episodes(batch)
        progress(len(files), len(files))
    return RolloutStore(writer.path)


def _more(file: Path, extra: Iterable[str], told: dict[str, Any]) -> dict[str, Any]:
    """Read what only files of an export have: extra columns, and the record's entries of the episode."""
    if not told:
        return {}
    with np.load(file, allow_pickle=False) as data:
        if missing := [name for name in extra if name not in data]:
            raise ValueError(f"{file} has no array {missing[0]!r}, which {RECORD} names.")
        columns = {name: data[name] for name in extra}
    return {"extra": columns, **told["episodes"].get(file.name, {})}


def _load(file: Path, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Read frames and the action after each; frames without an action are left out, except for the last one."""
    try:
        with np.load(file, allow_pickle=False) as data:
            missing: Sequence[str] = [name for name in ("video", "actions") if name not in data]
            if missing:
                raise ValueError(f"{file} has no array {missing[0]!r}: expected video and actions.")
            video, actions = data["video"], data["actions"].reshape(-1)
    except (zipfile.BadZipFile, EOFError, TypeError) as error:
        raise DamagedData(f"{file} is damaged: it cannot be read as npz ({error}).") from None
    if video.dtype != np.uint8 or video.ndim != 4 or len(video) != len(actions):
        raise ValueError(
            f"{file} has video {video.dtype} {video.shape} and {len(actions)} actions: expected uint8 (T, H, W, "
            "channels) and T actions."
        )
    actions = exact(actions, np.int16, f"Action of {file}")
    if (actions < 0).any():
        raise ValueError(f"Action {actions.min()} of {file}: expected the number of an action, 0 or more.")
    first, stop = max(0, -shift), len(video) - max(0, shift)
    return video[first : min(stop + 1, len(video))], actions[first + shift : stop + shift]


@dataclass(frozen=True, kw_only=True)
class FromTeco(ImportOptions):
    """A folder of TECO's npz files."""

    folder: tyro.conf.Positional[Path]
    """Folder that contains the files, also in subfolders."""
    level: str | None = None
    """Name of the level; by default that of the exported store, else teco_dmlab."""
    split: Split | None = None
    """Split of the store; by default that of the exported store, else train."""
    turns: tuple[int, ...] = ()
    """How far each action looks right, in pixels per frame (negative for left), such as -20 20 0; needed to check the
    alignment.
    """
    no_actions: bool = False
    """Import the video only."""
    shift: int = 0
    """Take the action of frame t from row t + shift."""
    limit: int | None = None
    """Largest number of files to import."""


def _import(options: FromTeco, progress: Progress) -> list[RolloutStore]:
    return [
        import_teco(
            existing_folder(options.folder),
            options.out,
            options.level,
            options.split,
            _origin(options.turns) if options.turns else None,
            with_actions=not options.no_actions,
            shift=options.shift,
            limit=options.limit,
            progress=progress,
        )
    ]


def _origin(turns: tuple[int, ...]) -> Origin:
    # TECO does not document how far its actions move; the check needs only the turns
    table = tuple((turn, 0, 0, 0, 0, 0, 0) for turn in turns)
    return Origin(engine="deepmind_lab", action_set="teco, turns only", action_table=table, policy=WALK)


IMPORTER = Importer(FromTeco, _import)
