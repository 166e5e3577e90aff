"""A suite's folder: its configuration, every episode as it ends, and the results.

config.json      policy and options; the same command continues in the folder, another one is refused
episodes.jsonl   one line per episode, appended as it ends, and one per session (date, machine, revision)
results.json     configuration and all episodes in order, written at the end; equal for equal runs, however often killed
episodes.csv     the episodes as a table
timing.json      dates, and wall-clock time of the policy and of the environments
running.safetensors  the batch that is being played (see `running.py`)
"""

import csv
import datetime
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flexlam_rl.eval.suite.batches import Job, Played
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import FolderLock, atomic_file, disk_errors, sweep, write_json
from flexlam_rl.utils.provenance import machine

SCHEMA, VERSION = "flexlam_rl.suite", 1
CONFIG, EPISODES, RESULTS, TABLE, TIMING, RUNNING = (
    "config.json",
    "episodes.jsonl",
    "results.json",
    "episodes.csv",
    "timing.json",
    "running.safetensors",
)
FIELDS = ("level", "budget", "number", "seed", "return", "steps")


class Folder:
    """The folder of a run, open for writing; only one process may have it open.

    Args:
        path: Path of the folder, which is made if it does not exist.
        identity: Policy and options, as JSON values. Levels, episodes and budgets are not part of it, so that a run may
            grow.

    Raises:
        ValueError: The folder holds another run; the message names the difference.
        StoreError: Another process writes to the folder, or a file in it is damaged.
        OSError: The folder cannot be written.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path, self.identity = path, identity
        self.played: dict[tuple[str, int | str, int], Played] = {}
        self.sessions: list[dict[str, Any]] = []
        self.shares: dict[str, float] = {}
        """Wall-clock seconds that environments, policy and its parts took in this session."""
        self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not (path / CONFIG).exists() and any(entry.name != ".writer.lock" for entry in path.iterdir()):
                raise ValueError(f"{path} holds something other than a suite's run; give another --out.")
            self._lock = FolderLock(path)
            sweep(path)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise type(error)(f"Cannot write to {str(path)!r}: {error.strerror or error}.") from None
        try:
            self._check()
            self._read()
            self._file = open(path / EPISODES, "ab")  # noqa: SIM115  closed by `close`
        except BaseException:
            self._lock.release()
            self._remove_if_empty()
            raise

    def _check(self) -> None:
        path = self.path / CONFIG
        record = {"schema": SCHEMA, "version": VERSION, **json.loads(json.dumps(self.identity))}
        if not path.exists():
            with disk_errors(path):
                write_json(path, record)
            return
        changed = _differences(read_config(self.path), record)
        if changed:
            pairs = ", ".join(f"{key} {_in_words(old)}, now {_in_words(new)}" for key, old, new in changed[:2])
            raise ValueError(f"{self.path} holds the run of another configuration ({pairs}); give another --out.")

    def _read(self) -> None:
        path = self.path / EPISODES
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]  # a kill may have cut off the last line
        if len(whole) < len(data):
            with open(path, "r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                if "session" in row:
                    self.sessions.append(row["session"])
                else:
                    played = _played(row)
                    self.played[played.job.level, played.job.budget, played.job.number] = played
            except (ValueError, KeyError, TypeError):
                raise StoreError(f"{path}, line {number} is damaged: it holds no episode.") from None

    def holds(self, job: Job) -> bool:
        """Return whether an episode has been played."""
        return (job.level, job.budget, job.number) in self.played

    def begin(self, device: str, revision: str) -> None:
        """Record a session: its date, machine and code revision."""
        session = {
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "device": device,
            "revision": revision,
        }
        if session not in self.sessions:
            self.sessions.append(session)
            self._append({"session": session})

    def add(self, played: Played) -> None:
        """Store an episode; it is on the disk when this returns."""
        job = played.job
        self.played[job.level, job.budget, job.number] = played
        row = {**_row(played), "milliseconds": round(played.milliseconds, 3), "batch": played.batch}
        self._append(row if played.figures is None else {**row, "figures": played.figures})

    def _append(self, row: dict[str, Any]) -> None:
        with disk_errors(self.path):
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """Return those of `jobs` that have not been played."""
        return [job for job in jobs if not self.holds(job)]

    def finish(
        self, jobs: Iterable[Job], summary: dict[str, Any], timing: dict[str, Any], behaviour: dict[str, Any]
    ) -> None:
        """Write the results of episodes, all of which have been played.

        Args:
            jobs: The episodes, in the order of the results.
            summary: Summary per column.
            timing: Wall-clock times.
            behaviour: What the policies did, per column (`diagnostics.shares`).
        """
        rows = [_row(self.played[job.level, job.budget, job.number]) for job in jobs]
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with disk_errors(self.path):
            # without dates, so that a run that was continued on another day has the same results
            undated = [{key: value for key, value in session.items() if key != "date"} for session in self.sessions]
            once = [session for i, session in enumerate(undated) if session not in undated[:i]]
            head = {"schema": SCHEMA, "version": VERSION, **self.identity, "sessions": once}
            write_json(self.path / RESULTS, {**head, "summary": summary, "behaviour": behaviour, "episodes": rows})
            write_json(self.path / TIMING, {"dates": sorted({session["date"] for session in self.sessions}), **timing})
            with atomic_file(self.path / TABLE) as file:
                file.write(text.getvalue().encode())

    def close(self) -> None:
        """Close the folder; one that was made here and holds no episode is removed again."""
        self._file.close()
        self._lock.release()
        self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        if not self._made or self.played or not self.path.is_dir():
            return
        if (self.path / RUNNING).exists():
            return
        for name in (EPISODES, CONFIG, ".writer.lock"):
            (self.path / name).unlink(missing_ok=True)
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # another process has written something there
                return


def _differences(before: Any, now: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """List where two configurations differ: the name of the field, as in scene.textures, and both values."""
    if path == "checkpoint.name":  # a bundle may be renamed, because its hash identifies it
        return []
    if (
        path == "checkpoint"
        and isinstance(before, dict)
        and isinstance(now, dict)
        and before.get("hash") != now.get("hash")
    ):
        return [(path, before, now)]
    if isinstance(before, dict) and isinstance(now, dict):
        keys = (*before, *(key for key in now if key not in before))
        inner = (_differences(before.get(key), now.get(key), f"{path}.{key}" if path else key) for key in keys)
        return [found for part in inner for found in part]
    return [] if before == now else [(path, before, now)]


def _in_words(value: Any) -> str:
    """Write a value of a configuration, short enough for a sentence."""
    if isinstance(value, dict) and "hash" in value:
        return f"{value.get('name')} of hash {value['hash'][:12]}"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def read_config(path: Path) -> dict[str, Any]:
    """Read config.json of a run.

    Raises:
        ValueError: The file is missing, belongs to something else, or has another version.
        StoreError: The file is damaged.
    """
    try:
        record = json.loads((path / CONFIG).read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} holds no suite's run: {CONFIG} is missing.") from None
    except ValueError as error:
        raise StoreError(f"{path / CONFIG} is damaged: it is not JSON ({error}).") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ValueError(f"{path} holds something other than a suite's run; give another folder.")
    if record.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {record.get('version')!r} of a suite's run; this program reads {VERSION}."
        )
    return record


def read_results(path: Path) -> dict[str, Any]:
    """Read results.json of a finished run, given the file or its folder.

    Raises:
        ValueError: There is no such file, or it is not the result of a suite.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        record = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} holds no finished suite: {RESULTS} is missing.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as a suite's results: {error}.") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("version") != VERSION:
        raise ValueError(f"{file} is not a suite's result of version {VERSION}.")
    return record


def read_dates(path: Path, record: dict[str, Any]) -> list[str]:
    """Read the days on which a finished run was played; runs of earlier versions have them in their results."""
    timing = (path if path.is_dir() else path.parent) / TIMING
    dates: list[str] = json.loads(timing.read_bytes()).get("dates", []) if timing.is_file() else []
    return dates or sorted({session["date"] for session in record["sessions"] if "date" in session})


def _row(played: Played) -> dict[str, Any]:
    job = played.job
    return dict(zip(FIELDS, (job.level, job.budget, job.number, job.seed, played.total, played.steps), strict=True))


def _played(row: dict[str, Any]) -> Played:
    budget = row["budget"] if isinstance(row["budget"], str) else int(row["budget"])
    job = Job(str(row["level"]), budget, int(row["number"]), int(row["seed"]))
    figures = row.get("figures")
    numbers = float(row["return"]), int(row["steps"]), float(row["milliseconds"]), int(row["batch"])
    return Played(job, *numbers, None if figures is None else dict(figures))
