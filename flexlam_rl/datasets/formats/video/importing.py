"""Import of videos without actions.

Legend: `R` rows of a piece, `H W` size of a frame.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.video.clips import Clip, find_clips
from flexlam_rl.datasets.formats.video.cuts import THRESHOLD, SceneChange
from flexlam_rl.datasets.formats.video.cuts_picture import cuts_picture
from flexlam_rl.datasets.formats.video.frames import Shot, resample
from flexlam_rl.datasets.formats.video.splits import Rule, SplitRule
from flexlam_rl.datasets.import_source import stored_lengths
from flexlam_rl.datasets.resize import Resize
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter, store_path
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import Progress, no_progress
from flexlam_rl.utils.pictures import write_png
from flexlam_rl.utils.video import TimedFrame

CHANGE = "scene_change"
PIECE_BYTES = 1 << 28  # limit of the frames in memory at a time
PIECES = 1 << 20  # keys reserved for the pieces of one video


@dataclass(frozen=True)
class HowVideo:
    """How to take frames from videos.

    Attributes:
        size: Size of the frames; None keeps that of the videos, which must then be the same for all.
        fps: Frames per second; None keeps all frames.
        cuts: Smallest change between two frames that counts as a scene cut; None for videos without cuts.
        rows: Largest number of frames per episode; longer videos become several episodes. None for as many as fit in
            `PIECE_BYTES`.
    """

    size: Resize | None = None
    fps: float | None = None
    cuts: float | None = THRESHOLD
    rows: int | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < 1e6:
            raise ValueError(f"fps is {self.fps}: expected a positive number of frames per second.")
        if self.cuts is not None and not 0 < self.cuts <= 1:
            raise ValueError(
                f"cuts is {self.cuts}: expected a change of more than 0 and at most 1, or None for no cuts."
            )
        if self.rows is not None and self.rows < 2:
            raise ValueError(f"rows is {self.rows}: expected at least 2 frames per episode.")

    @property
    def rate(self) -> Fraction | None:
        """Frames per second as an exact fraction; None to keep all frames."""
        return None if self.fps is None else Fraction(self.fps).limit_denominator(1_000_000)

    def shots(self, clip: Iterable[TimedFrame], watch: bool = True) -> Iterator[Shot]:
        """Take frames from a video.

        Changes are measured between all frames of the video, because at 1.6 frames per second two frames of one scene
        may differ as much as two scenes.

        Args:
            clip: The video.
            watch: Whether to measure changes; if False, they are 0.
        """
        scene = SceneChange() if watch and self.cuts is not None else lambda frame: 0.0
        shots = (Shot(time, frame, scene(frame)) for time, frame in clip)
        chosen = shots if self.rate is None else resample(shots, self.rate)
        size = self.size or (lambda frame: frame)
        return (shot._replace(frame=size(shot.frame)) for shot in chosen)


def import_video(
    folder: str | Path,
    root: str | Path,
    level: str | None = None,
    how: HowVideo | None = None,
    *,
    split: Rule | None = None,
    test_share: float = 0.1,
    picture_fps: float | None = None,
    skip: bool = False,
    progress: Progress = no_progress,
) -> list[RolloutStore]:
    """Import all videos of a folder, without actions and rewards. The same call again continues an interrupted import
    and adds new videos.

    Each video becomes one cut episode, or several if it is long; a scene cut becomes a restart. The column
    `extra/scene_change` holds the largest change before each frame. A picture `scene-cuts-<split>.png` beside each
    store shows these changes and the threshold.

    Args:
        folder: Folder to search, with its subfolders.
        root: Folder of the collection to write to.
        level: Name of the level to create; None for the folder's name.
        how: Size, rate and cuts.
        split: Rule of a `SplitRule`; None to choose by the folders' names.
        test_share: Share of test data, as for `SplitRule`.
        picture_fps: Pictures per second in folders of pictures.
        skip: Leave out videos that cannot be read, each with a warning, instead of raising an error. Episodes before
            the damaged part of a long video are kept.
        progress: Called with the number of bytes read and the total.

    Returns:
        The stores, training data first.

    Raises:
        ValueError: A video cannot be read, has fewer than two frames or changes its size; videos differ in size; or an
            option has a wrong value.
        StoreError: The store was imported from other videos or with other options.
    """
    folder, how = Path(folder), how or HowVideo()
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: expected one that contains videos.")
    level = level or folder.resolve().name
    clips, others = find_clips(folder, picture_fps)
    clips = _in_order(clips, [store_path(root, level, name) for name in ("train", "test")])
    rule = SplitRule.choose(split, test_share, clips)
    readable = _checked(clips, how, skip)
    rate, good = _common_rate(readable, how), {clip.name for clip in readable}
    source = {
        "format": "video",
        "files": [f"{clip.name} ({clip.nbytes} bytes)" for clip in clips],
        "size": None if how.size is None else f"{how.size.width}x{how.size.height} {how.size.fit}",
        "rate": how.fps,
        "fps": None if rate is None else float(rate),
        "cuts": how.cuts,
        "rows": how.rows,
        "split": rule.rule,
        "test_share": rule.share if rule.rule in ("videos", "time") else None,
    }
    splits = list(rule.splits(clips))
    for name in splits:  # all stores are checked before the first one is written
        stored_lengths(store_path(root, level, name), source)
    job = _Job(how, rule, skip, progress, len(splits) * sum(clip.nbytes for clip in clips))
    stores = [job.write(root, level, name, clips, good, source) for name in splits]
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        warnings.warn(f"Left out, because they are no videos: {shown}.", stacklevel=2)
    return stores


def _in_order(clips: list[Clip], stores: Sequence[Path]) -> list[Clip]:
    """Sort videos so that those of an earlier import come first, in their former order, and keep their numbers."""
    known = {f"{clip.name} ({clip.nbytes} bytes)": clip for clip in clips}
    before: list[str] = []
    for path in stores:
        if (path / "zarr.json").exists():
            source = RolloutStore(path).origin.source
            files = source.get("files", []) if source.get("format") == "video" else []
            before = files if len(files) > len(before) else before
    for file in before:
        if file not in known:
            raise StoreError(f"{file} of the earlier import is missing or has changed: use another folder.")
    first = [known[file] for file in before]
    return first + [clip for clip in clips if clip not in first]


def _checked(clips: Sequence[Clip], how: HowVideo, skip: bool) -> list[Clip]:
    """Find the videos that can be read, by decoding their first frames, before anything is written."""
    good: list[Clip] = []
    shapes: dict[tuple[int, ...], str] = {}
    for clip in clips:
        try:
            _ = clip.fps
            first = next(how.shots(clip, watch=False)).frame
        except ValueError as error:
            if not skip:
                raise
            warnings.warn(f"Left out: {error}", stacklevel=3)
            continue
        shapes.setdefault(first.shape, clip.name)
        good.append(clip)
    if len(shapes) > 1:
        said = " and ".join(f"{shape[1]}x{shape[0]} ({name})" for shape, name in list(shapes.items())[:2])
        raise ValueError(f"The videos have several sizes, {said}: choose one with --size.")
    if not good:
        raise ValueError("None of the videos can be read.")
    return good


def _common_rate(clips: Sequence[Clip], how: HowVideo) -> Fraction | None:
    """Find the frames per second of the imported data; None if videos differ or do not say it."""
    rates = {clip.fps: clip.name for clip in clips}
    if how.rate is None:
        if len(rates) > 1:
            said = ", ".join("unknown" if rate is None else f"{float(rate):g}" for rate in list(rates)[:4])
            warnings.warn(
                f"The videos have several rates ({said} frames per second), so their transitions differ in time: --fps "
                "makes one.",
                stacklevel=3,
            )
            return None
        return next(iter(rates))
    for rate, name in rates.items():
        if rate is None:
            raise ValueError(f"The number of pictures per second of {name} is not known: give --picture-fps.")
        if how.rate > rate * Fraction(1001, 1000):
            raise ValueError(f"--fps is {how.fps:g}: expected at most the {float(rate):g} frames per second of {name}.")
    return how.rate


@dataclass
class _Job:
    """A running import.

    Attributes:
        how, rule, skip, progress: As for `import_video`.
        total: Bytes to read, counting each video once per split.
        done: Bytes read so far.
    """

    how: HowVideo
    rule: SplitRule
    skip: bool
    progress: Progress
    total: int
    done: int = 0

    def write(
        self, root: str | Path, level: str, split: str, clips: Sequence[Clip], good: set[str], source: dict[str, Any]
    ) -> RolloutStore:
        """Write the store of a split, and the picture of its cuts."""
        origin = Origin(engine="video", source=source)
        extra: dict[str, Any] = {} if self.how.cuts is None else {CHANGE: ("float32", ())}
        with RolloutWriter(root, level, split, origin, with_actions=False, extra=extra) as writer:
            for number, clip in enumerate(clips):
                if clip.name in good and self.rule.split_of(number, clip) in (None, split):
                    try:
                        self._append(writer, number, clip)
                    except ValueError as error:
                        if not self.skip:
                            raise
                        warnings.warn(f"Left out: {error}", stacklevel=3)
                self.done += clip.nbytes
                self.progress(self.done, self.total)
        store = RolloutStore(writer.path)
        if self.how.cuts is not None:
            write_png(store.path.parent / f"scene-cuts-{split}.png", cuts_picture(store, self.how.cuts))
        return store

    def _append(self, writer: RolloutWriter, number: int, clip: Clip) -> None:
        """Store one video, or its part of the split, piece by piece; pieces that are stored already are skipped."""
        shots = self.how.shots(clip)
        if self.rule.rule == "time":
            count = sum(1 for _ in self.how.shots(clip, watch=False))
            shots = islice(shots, *self.rule.part(writer.split, count))
        rows = 0
        for piece, (seconds, pictures, change) in enumerate(_pieces(shots, self.how.rows)):
            rows += len(pictures)
            key = number * PIECES + piece
            if len(pictures) > 1 and key not in writer.keys:
                seen = {} if self.how.cuts is None else {CHANGE: change}
                restart = None if self.how.cuts is None else change >= np.float32(self.how.cuts)
                writer.append_episode(Episode(pictures, restart=restart, key=key, extra=seen))
            if clip.seconds:
                self.progress(self.done + int(clip.nbytes * min(1.0, seconds / clip.seconds)), self.total)
        if rows < 2:
            at = "" if self.how.fps is None else f" at {self.how.fps:g} per second"
            part = f" in its {writer.split} part" if self.rule.rule == "time" else ""
            raise ValueError(f"{clip.name} has {rows} frame{at}{part}: expected at least 2, which make a transition.")


def _pieces(shots: Iterable[Shot], rows: int | None) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Cut a video into pieces that fit into memory.

    A piece begins with the last frame of the previous one, so that no transition is lost.

    Yields:
        The time of the piece's end in seconds, its frames (R, H, W, 3), and the change before each, (R,), which is 0
        for the first.
    """

    def piece() -> tuple[float, np.ndarray, np.ndarray]:
        changes = np.array([0, *(shot.change for shot in kept[1:])], np.float32)
        return float(kept[-1].time), np.stack([shot.frame for shot in kept]), changes

    kept: list[Shot] = []
    fresh = False
    for shot in shots:
        kept.append(shot)
        fresh = True
        if len(kept) == (rows or max(2, PIECE_BYTES // shot.frame.nbytes)):
            yield piece()
            kept, fresh = kept[-1:], False
    if fresh:
        yield piece()
