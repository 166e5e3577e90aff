"""Weighted mixtures of rollouts (paper, appendix E.1): "PATH=WEIGHT" texts and mixture files.

A weight says how often each item of a part occurs in one pass over all data: with 3, every transition occurs three
times, as in the paper for robot video; with 0.4, a fixed and evenly spread 40 % of them occur once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.store import Rollouts, RolloutStore, find_stores
from flexlam_rl.utils.files import read_json

LARGEST = 1000.0


@dataclass(frozen=True)
class Part:
    """One part of a mixture.

    Attributes:
        data: Folder of a collection, or of one store in it.
        weight: How often each item occurs in one pass; None if no weight was given.
        tasks: Names of its tasks; None for all.
    """

    data: Path
    weight: float | None = None
    tasks: tuple[str, ...] | None = None


def read_parts(data: Path | Sequence[Path]) -> list[Part]:
    """Read a command's data option into the parts of a mixture.

    Args:
        data: Folders, PATH=WEIGHT texts, and mixture files: JSON, {"parts": [{"data": PATH, "weight": 3, "tasks":
            [...]}]}, with paths relative to the file; weight and tasks may be left out.

    Raises:
        ValueError: There is no data, a weight is not a number above 0, or a file has unknown entries.
    """
    given = [data] if isinstance(data, Path) else data
    parts = [part for path in given for part in (_read_file(path) if _is_file(path) else [_read_text(path)])]
    if not parts:
        raise ValueError("No data: expected the folder of rollouts, or several with weights.")
    return parts


def open_mixture(parts: Sequence[Part], tasks: Sequence[str] | None = None, split: str = "train") -> Rollouts:
    """Open one split of all parts. A single part without a weight gives the same as `open_rollouts`.

    Args:
        parts: Result of `read_parts`.
        tasks: Tasks of the parts that name none themselves; None for all.
        split: Name of the split, which every part must have.

    Raises:
        StoreError: A part has no such rollouts, or the frames of parts differ in size.
        ValueError: A store is in two parts.
    """
    paths, weights = [], []
    for part in parts:
        found = find_stores(part.data, part.tasks or tasks, split)
        paths += found
        weights += [1.0 if part.weight is None else part.weight] * len(found)
    twice = next((path for i, path in enumerate(paths) if path.resolve() in [p.resolve() for p in paths[:i]]), None)
    if twice is not None:
        raise ValueError(f"{twice} is in two parts of a mixture: expected one, with a larger weight.")
    plain = len(parts) == 1 and parts[0].weight is None
    return Rollouts([RolloutStore(path) for path in paths], None if plain else weights)


class WeightedItems:
    """The items of one store, repeated as often as its weight says.

    Args:
        items: Items of the store, which have `len` and `rows`.
        weight: Weight of the store, above 0.
    """

    def __init__(self, items: Any, weight: float) -> None:
        self._items = items
        self._count = len(items)
        self._whole = math.floor(weight) * self._count
        self._rest = round((weight - math.floor(weight)) * self._count)

    def __len__(self) -> int:
        return self._whole + self._rest

    def rows(self, item: np.ndarray) -> np.ndarray:
        """Find the first rows of items, int64."""
        number = item % max(self._count, 1)
        beyond = item >= self._whole
        number[beyond] = (item[beyond] - self._whole) * self._count // max(self._rest, 1)
        rows: np.ndarray = self._items.rows(number)
        return rows


def _is_file(path: Path) -> bool:
    return path.suffix == ".json" and not path.is_dir()


def _read_text(text: Path) -> Part:
    """Read a folder or PATH=WEIGHT; an existing folder whose name has a "=" is taken as a folder."""
    name, sign, weight = text.name.rpartition("=")
    if not sign or text.exists():
        return Part(text)
    return Part(text.with_name(name) if name else text.parent, _weight(weight, str(text)))


def _read_file(file: Path) -> list[Part]:
    if not file.is_file():
        raise ValueError(f"{file} does not exist: expected a mixture file.")
    content = read_json(file)
    entries = content.get("parts") if isinstance(content, dict) and set(content) == {"parts"} else None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f'{file} is no mixture file: expected {{"parts": [{{"data": PATH, "weight": NUMBER}}, ...]}}.')
    parts = []
    for number, entry in enumerate(entries):
        odd = (
            [name for name in entry if name not in ("data", "weight", "tasks")] if isinstance(entry, dict) else [entry]
        )
        if odd or not isinstance(entry.get("data"), str) or not isinstance(entry.get("tasks", []), list):
            raise ValueError(
                f"Part {number} of {file} is {entry!r}: expected data (a path), and optionally weight (a number) and "
                "tasks (a list of names)."
            )
        weight = _weight(entry.get("weight", 1), f"part {number} of {file}")
        tasks = tuple(map(str, entry["tasks"])) if entry.get("tasks") else None
        parts.append(Part(file.parent / entry["data"], weight, tasks))
    return parts


def _weight(given: Any, where: str) -> float:
    try:
        weight = float(given)
    except (TypeError, ValueError):
        weight = math.nan
    if isinstance(given, bool) or not 0 < weight <= LARGEST:
        raise ValueError(f"The weight of {where} is {given!r}: expected a number above 0, up to {LARGEST:g}.")
    return weight
