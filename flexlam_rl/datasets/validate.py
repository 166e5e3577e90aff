"""Validation of a store: every byte against its checksum, and the agreement of all columns and tables."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flexlam_rl.datasets.episode import checksum
from flexlam_rl.datasets.labels import label_names, load_labels
from flexlam_rl.datasets.schema import SCHEMA, action_columns
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.envs.action_values import are_actions, check_stored
from flexlam_rl.utils.errors import DamagedData, StoreError
from flexlam_rl.utils.files import read_json


@dataclass
class Report:
    """Result of a validation.

    Attributes:
        path: Folder of the store.
        problems: One sentence per problem; empty for a good store.
        rows, episodes: Numbers of rows and episodes in the store.
        nbytes: Size of its files in bytes.
    """

    path: Path
    problems: list[str] = field(default_factory=list)
    rows: int = 0
    episodes: int = 0
    nbytes: int = 0

    @property
    def good(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def validate(path: str | Path, progress: Callable[[int, int], None] | None = None, threads: int = 2) -> Report:
    """Check a store completely, which reads and decodes all of it.

    Each chunk must match its checksum, and the frames, actions and rewards of each episode the checksum of the episode.
    Episodes must fill the rows without gaps, returns must be sums of rewards, actions must be in their set or space,
    label sets must fit the data, and the chained digest must be the committed one.

    Args:
        path: Folder of the store.
        progress: Called with the number of shards checked and the total.
        threads: Number of threads that decode.

    Returns:
        The report; problems do not raise errors.
    """
    path = Path(path)
    report = Report(path)
    try:
        store = RolloutStore(path)
        report.rows, report.episodes = store.rows, store.episodes
        report.nbytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if not store.rows:
            return report
    except (StoreError, KeyError, OSError) as error:
        report.problems.append(f"{path} cannot be opened: {error!r}" if isinstance(error, KeyError) else str(error))
        return report
    report.problems += _damaged_columns(store)
    damaged_rows = np.zeros(store.rows, bool)
    report.problems += _damaged_frames(store, damaged_rows, progress, threads)
    if not any(
        "/episodes/" in problem or ("Chunk" in problem and "/frames" not in problem) for problem in report.problems
    ):
        report.problems += _disagreements(store)
        report.problems += _wrong_episodes(store, damaged_rows)
    report.problems += _wrong_labels(store)
    return report


def _damaged_columns(store: RolloutStore) -> Iterator[str]:
    for name in store.column_names:
        try:
            column = store.column(name)
        except (StoreError, OSError, KeyError) as error:
            yield f"Column {name} of {store.path} cannot be opened: {error}"
            continue
        for number in range(math.ceil(len(column) / column.chunk)):
            try:
                column.read_chunk(number)
            except DamagedData as error:
                yield str(error)


def _damaged_frames(
    store: RolloutStore, damaged: np.ndarray, progress: Callable[[int, int], None] | None, threads: int
) -> Iterator[str]:
    """Decode every chunk of the frames, yield problems, and set `damaged` to True for the rows of bad chunks."""
    frames = store.frames
    inner = frames.shard // frames.chunk
    chunks = math.ceil(store.rows / frames.chunk)
    shards = math.ceil(chunks / inner)

    def check(shard: int) -> list[tuple[int, int, str]]:
        low, high = shard * inner, min((shard + 1) * inner, chunks)
        buffer = np.empty((frames.chunk, *frames.row), np.uint8)
        found = []
        try:
            frames.index(shard)
        except DamagedData as error:
            return [(low, high, str(error))]
        for number in range(low, high):
            try:
                frames.read_chunk(number, buffer)
            except DamagedData as error:
                found.append((number, number + 1, str(error)))
        return found

    with ThreadPoolExecutor(threads) as pool:
        for done, found in enumerate(pool.map(check, range(shards)), 1):
            for low, high, problem in found:
                damaged[low * frames.chunk : high * frames.chunk] = True
                yield problem
            if progress is not None:
                progress(done, shards)


def _disagreements(store: RolloutStore) -> Iterator[str]:
    """Yield disagreements between columns and tables."""
    table, commit = store.episode_table, store.attributes["commit"]
    start, rows, length = (table[name].astype(np.int64) for name in ("start", "rows", "length"))
    where = str(store.path)
    if not np.array_equal(start, np.cumsum(rows) - rows) or rows.sum() != store.rows:
        yield f"The episodes of {where} do not fill its {store.rows} rows without gaps."
        return
    if length.sum() != commit["steps"]:
        yield f"The commit record of {where} counts {commit['steps']} steps, its episodes {length.sum()}."
    keys = table["key"][table["key"] >= 0]
    if len(np.unique(keys)) != len(keys):
        values, counts = np.unique(keys, return_counts=True)
        yield f"Episode {values[counts > 1][0]} is in {where} more than once."
    number = store.episode.whole()
    if not np.array_equal(number, np.repeat(np.arange(store.episodes), rows)):
        yield f"Column episode of {where} does not agree with the table of episodes."
    instruction = store.instruction.whole()
    if instruction.min() < 0 or instruction.max() >= len(store.instructions):
        yield f"Column instruction of {where} names text {instruction.max()}: the table has {len(store.instructions)}."
    for name in ("terminated", "truncated"):
        rest = np.flatnonzero(store.column(name).whole())
        ends = start + np.maximum(length - 1, 0)
        wrong = np.setdiff1d(rest, ends)
        if len(wrong):
            yield f"Row {wrong[0]} of {where} is {name}, but is not the last action of its episode."
    if not store.with_actions:
        return
    yield from _wrong_actions(store, start, rows, length)
    returns = np.add.reduceat(store.reward.whole().astype(np.float64), start)
    for i in np.flatnonzero(np.abs(returns - table["return"]) > 1e-6 * np.maximum(1, np.abs(returns)))[:5]:
        yield f"Episode {i} of {where} has the return {table['return'][i]}, its rewards add up to {returns[i]}."


def _wrong_actions(store: RolloutStore, start: np.ndarray, rows: np.ndarray, length: np.ndarray) -> Iterator[str]:
    """Yield actions that are not in their set or space, and rows with an action where there must be none."""
    action, where, acted = store.action.whole(), store.path, are_actions(store.action.whole())
    actions = len(store.origin.action_table)
    if store.actions is not None:
        try:
            check_stored(action[acted], store.actions, f"An action of {where}")
        except ValueError as error:
            yield str(error)
    elif actions and action.max() >= actions:
        yield f"Row {int(action.argmax())} of {where} has action {action.max()}: its action set has 0 to {actions - 1}."
    last = np.concatenate(
        [[], *(np.arange(s + n, s + r) for s, r, n in zip(start, rows, length, strict=True) if r > n)]
    ).astype(np.int64)
    if acted[last].any():
        yield f"Row {last[acted[last]][0]} of {where} is a last observation, but has an action."
    known = np.add.reduceat(acted.astype(np.int64), start)
    for i in np.flatnonzero((known != 0) & (known != length))[:5]:
        yield f"Episode {i} of {where} has {known[i]} actions in {length[i]} steps: expected all or none."


def _wrong_episodes(store: RolloutStore, damaged: np.ndarray) -> Iterator[str]:
    """Yield episodes whose contents differ from what was committed, and a wrong chained digest."""
    table = store.episode_table
    digest = hashlib.sha256(SCHEMA.encode()).hexdigest()
    columns = action_columns(store.with_actions, store.actions)
    for i in range(store.episodes):
        entry = {name: values[i].item() for name, values in table.items()}
        low, high = entry["start"], entry["start"] + entry["rows"]
        if not damaged[low:high].any():
            found = checksum(store.frames.read(low, high), *(store.column(name).read(low, high) for name in columns))
            if found != entry["crc"]:
                what = f"its checksum is {found}, not {entry['crc']}"
                yield f"Episode {i} of {store.path} (rows {low} to {high - 1}) differs from what was recorded: {what}."
        digest = hashlib.sha256(f"{digest} {json.dumps(entry, sort_keys=True)}".encode()).hexdigest()
    if digest != store.digest:
        yield f"The digest of {store.path} does not match its table of episodes."


def _wrong_labels(store: RolloutStore) -> Iterator[str]:
    for name in label_names(store.path):
        try:
            rows = int(read_json(store.path / "labels" / name / "zarr.json")["attributes"]["rows"])
            if rows > store.rows:
                yield f"Label set {name!r} of {store.path} was made for {rows} rows, the store has {store.rows}."
            for part in ("train", "validation"):
                labels = load_labels(Rollouts([store]), name, part)
                labels.check(Rollouts([store]), 2)
                if len(labels.rows[0]) and (np.diff(labels.rows[0]) <= 0).any():
                    yield f"Part {part} of label set {name!r} of {store.path} is not sorted."
        except (StoreError, ValueError, KeyError, OSError) as error:
            yield str(error)
