"""The batch that a suite is playing, which is saved in its folder about once a minute and when the suite is stopped."""

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
"""Smallest number of seconds between two saves."""
SHARE = 0.01
"""Largest share of the time that saving may take; a large state is therefore saved less often."""


class Running:
    """Saves the batch that is being played, so that the same command can continue in the middle of it.

    Args:
        folder: Folder of the suite.
        identity: Policy and options, as JSON values.
        stop: Says whether a stop was asked for.
        say: Called with messages for the user.

    Attributes:
        kept: Number of episodes that were being played at the last save, and their step; None before the first.
        again: Whether the present steps were already taken before the last stop.
        open: Number of episodes of the batch that have not ended.
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
            played: Function that returns whether an episode has been played.
            most: Largest number of environments at once; None for any number.

        Returns:
            Its episodes, which are to be played next; none where no fitting batch was saved.
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
        """Print that a saved batch begins anew, and why."""
        self._say(f"{why.rstrip('.')}: the episodes that were being played begin anew.")
        self.kept = self._past = None

    def watched(self, policy: Any, jobs: Sequence[Job], shares: TimeShares, watchers: Sequence[Watcher]) -> Any:
        """Wrap the policy that plays a batch, so that its state is saved from now on; it continues the batch of
        `saved`.

        Args:
            policy: The policy.
            jobs: The batch.
            shares: Times of the batch, which continue too.
            watchers: Watchers that are told when steps are played again.
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
        """Save before a decision, if it is time to or a stop was asked for."""
        asked = self._stop.asked
        if asked or time.monotonic() >= self._due:
            self._save()
        if asked:
            raise KeyboardInterrupt
        self._stop.patient = True  # from now on, Ctrl-C waits until this point

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
        """Note that the batch is no longer being played, so that Ctrl-C acts at once again."""
        self._stop.patient = self.again = False
        self._player = None

    def ended(self) -> None:
        """Note that all episodes of the batch have been stored.

        Raises:
            KeyboardInterrupt: A stop was asked for meanwhile.
        """
        self.drop()
        if self._stop.asked:
            raise KeyboardInterrupt

    def drop(self) -> None:
        """Remove the saved batch."""
        self.path.unlink(missing_ok=True)
        self.kept = self._past = None
