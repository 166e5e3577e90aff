"""Conversion of rows of parquet files to episodes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.parquet.columns import Layout, flags, numbers, pictures, texts
from flexlam_rl.datasets.formats.parquet.files import follows
from flexlam_rl.datasets.pictures import decode_all
from flexlam_rl.datasets.rewards import exact_rewards
from flexlam_rl.utils.numbers import exact


def cut(paths: Sequence[Path], one_stream: bool, columns: Layout) -> Iterator[pa.Table]:
    """Split the rows of files into tables of one episode each.

    An episode ends after a terminated or truncated row (and the row of its last frame, if there is one), where the
    number of the episode changes, and at the end of a file or, with `one_stream`, of the stream.

    Args:
        paths: The files, in order.
        one_stream: Whether episodes may continue in the next file.
        columns: Columns of the files.

    Raises:
        ValueError: The rows of an episode are not together.
    """
    kept: list[pa.Table] = []
    ended, last = False, False  # whether the previous row has its episode's last action, or the frame after that
    before: Path | None = None
    number, seen = None, set[int]()

    def rest() -> Iterator[pa.Table]:
        episode = pa.concat_tables(kept) if kept else None
        kept.clear()
        if episode is not None and len(episode):
            yield episode

    for path in paths:
        if before is not None and not (one_stream and follows(path, before)):
            yield from rest()
            ended, last, number = False, False, None
            seen = seen if one_stream else set()  # independent files number their episodes anew
        before = path
        for batch in pq.ParquetFile(path).iter_batches(1024):
            table = pa.Table.from_batches([batch])
            ends = np.append(ended, flags(table, "terminated", str(path)) | flags(table, "truncated", str(path)))
            frame = np.append(last, numbers(table, "action", str(path)) == -1)
            begins = (ends[:-1] & ~frame[1:]) | frame[:-1]
            if columns.episode:
                each = numbers(table, columns.episode, str(path)).tolist()
                begins |= np.array(
                    [
                        one != other
                        for one, other in zip(each, [each[0] if number is None else number, *each], strict=False)
                    ]
                )
                for row in np.flatnonzero(begins | ((np.arange(len(each)) == 0) & (number is None))).tolist():
                    if each[row] in seen:
                        where = f"{path} (column {columns.episode})"
                        raise ValueError(
                            f"Episode {each[row]} of {where} continues after its end: expected its rows together."
                        )
                    seen.add(each[row])
                number = each[-1]
            start = 0
            for begin in np.flatnonzero(begins).tolist():
                kept.append(table.slice(start, begin - start))
                start = begin
                yield from rest()
            kept.append(table.slice(start))
            ended, last = bool(ends[-1]), bool(frame[-1])
    yield from rest()


def episode_of(table: pa.Table, columns: Layout, key: int, shift: int, reward: str, what: str) -> Episode:
    """Make an episode from its table.

    Args:
        table: Rows of the episode, more of them than the shift drops.
        columns: Columns of the files.
        key: Key of the episode.
        shift: The action of row t is taken from row t + shift; rows without an action are dropped.
        reward: Type of the store's rewards.
        what: Name of the episode in errors.

    Raises:
        ValueError: A value is missing, or the store cannot hold it.
    """
    keep = slice(max(0, -shift), table.num_rows - max(0, shift))
    action = exact(
        numbers(table, "action", what)[keep.start + shift : keep.stop + shift], np.int16, f"Action of {what}"
    )
    table = table.slice(keep.start, keep.stop - keep.start)
    values = {name: numbers(table, name, what) for name in columns.names if name not in ("observation", "instruction")}
    rows = table.num_rows
    length = rows - int(action[-1] == -1)  # a row without an action is the last observation (see `export_parquet`)
    if (action[:length] < 0).any():
        raise ValueError(f"Action {action[:length].min()} of {what}: expected the number of an action, 0 or more.")
    restart = None
    if "restart" in values:
        restart = flags(table, "restart", what)
    elif "map_frame_number" in values:
        restart = np.append(False, values["map_frame_number"][1:] < values["map_frame_number"][:-1])
    native = values["action_native"][:length] if "action_native" in columns.own else None
    return Episode(
        frames=decode_all(pictures(table)),
        action=action[:length],
        action_native=None if native is None else exact(native, np.int16, f"Native action of {what}"),
        reward=exact_rewards(values["reward"][:length], reward, what),
        terminated=bool(flags(table, "terminated", what).any()),
        truncated=bool(flags(table, "truncated", what).any()),
        restart=restart,
        instruction=texts(table, what) if "instruction" in columns.names else "",
        seed=int(values["episode_seed"][0]) if "episode_seed" in columns.own else -1,
        key=key,
        extra={name: values[name] for name in columns.extra},
    )
