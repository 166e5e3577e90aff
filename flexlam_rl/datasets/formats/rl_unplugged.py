"""Import of RL Unplugged's DeepMind Lab records (R2D2 agents, five levels, 72x96 pictures, 15 actions), without
TensorFlow.

A record is one episode, a `tf.train.Example` with `observations_pixels` (PNG), `actions`, `rewards`, `discounts`, and
the previous step as the agent saw it: `observations_action` (one-hot) and `observations_reward`. The last two show how
the columns are aligned, so the alignment is checked.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.format import Format, Importer, ImportOptions, Split, one_or_all
from flexlam_rl.datasets.import_source import stored_lengths
from flexlam_rl.datasets.pictures import decode_all
from flexlam_rl.datasets.restarts import infer_restarts
from flexlam_rl.datasets.rewards import exact_rewards, reward_type
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.tfrecord import parse_example, read_records
from flexlam_rl.datasets.writer import RolloutWriter, store_path
from flexlam_rl.utils.errors import Misaligned
from flexlam_rl.utils.files import Progress, no_progress
from flexlam_rl.utils.numbers import exact

NEEDED = ("observations_pixels", "observations_action", "observations_reward", "actions", "rewards", "discounts")
NUMBER = "episode_id"  # kept as an extra column if it exists


def import_rl_unplugged(
    files: str | Path | Sequence[str | Path],
    root: str | Path,
    level: str,
    split: str = "train",
    origin: Origin | None = None,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> RolloutStore:
    """Import TFRecord files into the store of a level and split. After an interruption, the same call continues.

    Args:
        files: A file, a folder of `tfrecord-*`, or a list.
        root, level, split: Folder of the collection, and level and split of the store to write.
        origin: Where the data comes from. RL Unplugged does not publish the action table, so by default the store has
            none.
        limit: Largest number of episodes to import; None for all.
        progress: Called with the number of bytes read and the total.

    Returns:
        The store.

    Raises:
        ValueError: A file is missing, a record lacks a column, or the store cannot hold a value.
        StoreError: The store was imported from other files or with other options.
        Misaligned: Actions and rewards of a record are shifted against its observations.
        DamagedData: A record does not match its checksum.
    """
    if isinstance(files, str | Path):
        files = sorted(Path(files).glob("*tfrecord*")) if Path(files).is_dir() else [files]
    for file in files:
        if not Path(file).is_file():
            raise ValueError(f"{file} is no file: expected TFRecords, or a folder that contains tfrecord-*.")
    if not files:
        raise ValueError("No record files: expected a file, a folder that contains tfrecord-*, or a list.")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}: expected at least 1 episode.")
    origin = origin or Origin(
        engine="deepmind_lab", action_set="rl_unplugged15", policy="R2D2 in training (RL Unplugged)"
    )
    source: dict[str, Any] = {
        "format": "rl_unplugged",
        "files": [Path(file).name for file in files],
        "restarts": "inferred from rewards",
    }
    first = next((parse_example(record) for file in files for record, _ in read_records(file)), {})
    source["left_out"] = sorted(set(first) - {*NEEDED, NUMBER})
    extra: dict[str, tuple[str, tuple[int, ...]]] = {NUMBER: ("int64", ())} if NUMBER in first else {}
    reward = reward_type(np.asarray(first.get("rewards", np.float32(0))).dtype)
    there = stored_lengths(store_path(root, level, split), source)
    key, before, total = 0, 0, sum(Path(file).stat().st_size for file in files)
    with (
        RolloutWriter(root, level, split, replace(origin, source=source), extra=extra, reward=reward) as writer,
        ThreadPoolExecutor() as pool,
    ):
        for file in files:
            for record, position in read_records(file):
                progress(before + position, total)
                if limit is not None and key >= limit:
                    break
                if key not in there:
                    writer.append_episode(
                        _episode(
                            parse_example(record), level, key, f"Record {key} ({file})", pool, extra, writer.reward
                        )
                    )
                key += 1
            before += Path(file).stat().st_size
    return RolloutStore(writer.path)


def _episode(
    columns: dict[str, Any],
    level: str,
    key: int,
    what: str,
    pool: ThreadPoolExecutor,
    extra: Iterable[str],
    reward: str,
) -> Episode:
    for name in (*NEEDED, *extra):
        if name not in columns:
            raise ValueError(f"{what} has no column {name!r}: it has {', '.join(sorted(columns))}.")
    actions = exact(columns["actions"], np.int16, f"Action of {what}")
    if (actions < 0).any():
        raise ValueError(f"Action {actions.min()} of {what}: expected the number of an action, 0 or more.")
    gained, discounts = exact_rewards(columns["rewards"], reward, what), np.asarray(columns["discounts"])
    if (discounts[:-1] == 0).any():
        raise ValueError(
            f"{what} ends at step {int((discounts == 0).argmax())} of {len(discounts)}: expected a discount of 0 at "
            "the last step only."
        )
    seen = columns["observations_action"].reshape(len(actions), -1).argmax(1)
    moved = len(actions) > 1 and not (
        np.array_equal(seen[1:], actions[:-1])
        and np.allclose(columns["observations_reward"][1:], gained[:-1], atol=1e-4)
    )
    if moved:
        raise Misaligned(
            f"{what} is shifted: an observation shows an action or reward that differs from the previous row's."
        )
    return Episode(
        frames=decode_all(columns["observations_pixels"], pool),
        action=actions,
        reward=gained,
        terminated=bool(discounts[-1] == 0),
        restart=infer_restarts(level, gained, len(actions)),
        key=key,
        extra={name: np.repeat(np.asarray(columns[name]).reshape(-1)[:1], len(actions)) for name in extra},
    )


@dataclass(frozen=True, kw_only=True)
class FromUnplugged(ImportOptions):
    """TFRecords of RL Unplugged's DeepMind Lab data."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files, or one folder that contains tfrecord-*."""
    level: str
    """Name of the level."""
    split: Split = "train"
    """Split of the store."""
    limit: int | None = None
    """Largest number of episodes to import."""


def _import(options: FromUnplugged, progress: Progress) -> list[RolloutStore]:
    files = one_or_all(options.files)
    return [
        import_rl_unplugged(files, options.out, options.level, options.split, limit=options.limit, progress=progress)
    ]


FORMAT = Format("rl-unplugged", "TFRecords of RL Unplugged's DeepMind Lab data", Importer(FromUnplugged, _import))
