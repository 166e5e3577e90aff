"""Division of videos, or of parts of them, into splits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from flexlam_rl.datasets.formats.video.clips import Clip
from flexlam_rl.datasets.shares import SPLITS, split_of

Rule = Literal["videos", "time", "folders", "train", "test"]


@dataclass(frozen=True)
class SplitRule:
    """A rule that divides videos into training and test data.

    Attributes:
        rule: "videos": a share of the videos becomes test data, spread evenly over their order. "time": the last part
            of each video becomes test data. "folders": by folders named `train` and `test`. "train" or "test": all
            videos go to that split.
        share: Share of test data, for "videos" and "time".
    """

    rule: Rule
    share: float

    @classmethod
    def choose(cls, rule: Rule | None, share: float, clips: Sequence[Clip]) -> "SplitRule":
        """Make a rule and check it against the videos.

        Args:
            rule: The rule; None for "folders" if there are folders `train` and `test` that contain all videos, else for
                "videos".
            share: Share of test data.
            clips: The videos.

        Raises:
            ValueError: The share is out of range, or the rule does not suit the videos.
        """
        split_of(0, share)  # raises an error if the share is out of range
        tops = {clip.name.split("/")[0] for clip in clips}
        if rule is None:
            rule = "folders" if tops == set(SPLITS) else "videos"
        if rule == "folders" and not tops <= set(SPLITS):
            odd = min(tops - set(SPLITS))
            raise ValueError(f"{odd!r} is neither train nor test: --split folders expects all videos in these folders.")
        made = cls(rule, share)
        if rule in ("videos", "folders"):
            counts = {split: sum(made.split_of(i, clip) == split for i, clip in enumerate(clips)) for split in SPLITS}
            empty = [split for split, count in counts.items() if not count]
            if empty and rule == "videos":
                raise ValueError(
                    f"{len(clips)} videos and a test share of {share:g} leave no video for the {empty[0]} split: give "
                    "more videos, another --test-share, or --split time, which takes the end of each video."
                )
        return made

    def split_of(self, number: int, clip: Clip) -> str | None:
        """Find the split of the video with a given number; None if it has a part in both splits."""
        if self.rule == "time":
            return None
        if self.rule == "folders":
            return clip.name.split("/")[0]
        if self.rule == "videos":
            return split_of(number, self.share)
        return self.rule

    def splits(self, clips: Sequence[Clip]) -> Iterator[str]:
        """Yield the splits that contain videos."""
        for split in SPLITS:
            if any(self.split_of(number, clip) in (None, split) for number, clip in enumerate(clips)):
                yield split

    def part(self, split: str, frames: int) -> tuple[int, int]:
        """Find a video's part in a split, for the rule "time": the first frame and the one after the last."""
        cut = frames - max(1, round(frames * self.share))
        return (0, cut) if split == "train" else (cut, frames)
