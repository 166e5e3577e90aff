"""The batch that a suite is playing, kept in its folder about once a minute and when it is told to stop."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from flexlam_rl.agents.resuming import Past, Resumable, can_resume
from flexlam_rl.agents.snapshot_files import read_snapshot, write_snapshot
from flexlam_rl.agents.watchers import TimeShares, Watcher
from flexlam_rl.eval.suite.batches import Job
from flexlam_rl.eval.suite.results import RUNNING
from flexlam_rl.train.stopping import Stop
from flexlam_rl.utils.errors import DiskFull, StoreError
from flexlam_rl.utils.files import disk_errors

EVERY = 60.0
"""Seconds between two saves, at least."""
SHARE = 0.01
"""Of the time that saving may take: a large state is saved less often."""


class Running:
    """Keeps the batch being played, so that the same command goes on in the middle of it.

    Args:
        folder: The suite's.
        identity: Who plays and how, JSON values.
        stop: Tells whether somebody asked to stop.
        say: Told what a person should know.

    Attributes:
        kept: Episodes that were being played at the last save, and the step that they were at; None before.
        again: Whether the steps being made were made before the last stop.
        open: Episodes of the batch that have not ended.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], stop: Stop, say: Callable[[str], None]) -> None:
        self.path, self._stop, self._say = folder / RUNNING, stop, say
        self._identity = json.loads(json.dumps(identity))
        self.kept: tuple[int, int] | None = None
        self.again = False
        self.open: set[Job] = set()
        self._past: tuple[Past, float] | None = None
        self._jobs: Sequence[Job] = ()
        self._player: Resumable | None = None
        self._shares = TimeShares()
        self._watchers: Sequence[Watcher] = ()
        self._due = 0.0

    def saved(self, missing: Sequence[Job], played: Callable[[Job], bool], most: int | None) -> list[Job]:
        """Find the batch that was being played when the suite stopped.

        Args:
            missing: Episodes to play.
            played: Tells whether an episode has been played.
            most: How many environments may play side by side, None for any number.

        Returns:
            Its episodes, to be played next; none where nothing was saved that fits.
        """
        if not self.path.is_file():
            return []
        try:
            record = read_snapshot(self.path)
            jobs, still = ([Job(*job) for job in record[name]] for name in ("jobs", "open"))
            past = Past(record["actions"], record["seen"], record["memory"]), float(record["seconds"])
            identity = record["identity"]
        except StoreError as error:
            self.refuse(str(error))
            return []
        except (KeyError, TypeError, ValueError, IndexError) as error:
            self.refuse(f"{self.path} is damaged: {error!r}")
            return []
        unplayed = {job for job in still if not played(job)}
        if identity != self._identity:
            self.refuse(f"{self.path} is of another configuration")
        elif not unplayed:
            self.drop()  # all have ended since the last save
        elif unplayed - set(missing):
            self.refuse(f"{self.path} holds episodes that are not asked for now")
        elif most is not None and len(jobs) > most:
            self.refuse(f"{self.path} is of {len(jobs)} environments, and --num-envs is {most}")
        else:
            self.open, self._past, self.kept = set(still), past, (len(unplayed), len(past[0].actions))
            return jobs
        return []

    def refuse(self, why: str) -> None:
        """Say that a saved batch begins anew, and why."""
        self._say(f"{why.rstrip('.')}: the episodes that were being played begin anew.")
        self.kept = self._past = None

    def watched(self, policy: Any, jobs: Sequence[Job], shares: TimeShares, watchers: Sequence[Watcher]) -> Any:
        """The policy to play a batch with, whose state is kept from now on; it goes on where `saved` has found it.

        Args:
            policy: Who plays.
            jobs: The batch.
            shares: Its time, which goes on too.
            watchers: Told that steps are played again.
        """
        self._jobs, self._shares, self._watchers = jobs, shares, watchers
        past, self._past = self._past, None
        if past is None:
            self.open = set(jobs)
        if not can_resume(policy):
            return policy
        self._replays(past is not None)
        self._due = time.monotonic() + EVERY

        def resumed() -> None:
            assert past is not None
            shares.seconds["policy"] = past[1]
            self._due = time.monotonic() + EVERY
            self._replays(False)

        self._player = Resumable(policy, None if past is None else past[0], self._between, resumed)
        return self._player

    def _replays(self, on: bool) -> None:
        self.again = on
        for watcher in self._watchers:
            watcher.replays(on)

    def _between(self) -> None:
        """Save before a decision, if it is time to or somebody asked to stop."""
        asked = self._stop.asked
        if asked or time.monotonic() >= self._due:
            self._save()
        if asked:
            raise KeyboardInterrupt
        self._stop.patient = True  # from now on Ctrl-C waits until here

    def _save(self) -> None:
        assert self._player is not None
        began = time.monotonic()
        left = self._player.left()
        content = {
            "identity": self._identity,
            "jobs": [astuple(job) for job in self._jobs],
            "open": [astuple(job) for job in self._jobs if job in self.open],
            "seconds": self._shares.seconds.get("policy", 0.0),
            "actions": left.actions,
            "seen": left.seen,
            "memory": left.memory,
        }
        try:
            with disk_errors(self.path):
                write_snapshot(self.path, content)
            self.kept = len(self.open), self._player.steps
        except DiskFull:
            self._say(f"The disk of {self.path} is too full to keep the episodes that are being played.")
        now = time.monotonic()
        self._due = now + max(EVERY, (now - began) / SHARE)

    def leave(self) -> None:
        """Take note that the batch is not being played any more: Ctrl-C acts at once again."""
        self._stop.patient = self.again = False
        self._player = None

    def ended(self) -> None:
        """Take note that all episodes of the batch have been kept.

        Raises:
            KeyboardInterrupt: Somebody asked to stop meanwhile.
        """
        self.drop()
        if self._stop.asked:
            raise KeyboardInterrupt

    def drop(self) -> None:
        """Remove what is kept of a batch."""
        self.path.unlink(missing_ok=True)
        self.kept = self._past = None
