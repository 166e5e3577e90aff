"""Label sets: small sets of transitions with known actions, stored as sorted row numbers beside the data.

A label set has a part "train" and a part "validation", which are disjoint and drawn without replacement. Both come from
one seeded shuffle of a level's transitions, training labels from its front and validation labels from its end. With the
same seed, a larger budget of training labels contains a smaller one, and equal numbers of validation labels are equal
sets.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.arrays import append_rows, create_arrays
from flexlam_rl.datasets.columns import Column
from flexlam_rl.datasets.marks import expert_chose
from flexlam_rl.datasets.names import level_folder
from flexlam_rl.datasets.permutation import Permutation
from flexlam_rl.datasets.schema import column_metadata
from flexlam_rl.datasets.segments import Items, ListedItems
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import atomic_folder, disk_errors, read_json, write_json
from flexlam_rl.utils.numbers import exact, int64
from flexlam_rl.utils.plain import json_value

PARTS = ("train", "validation")


@dataclass(frozen=True)
class LabelSet:
    """Rows that begin transitions with a known action.

    Attributes:
        name: Name of the label set.
        part: "train" or "validation".
        rows: Sorted int64 row numbers, one read-only array per store.
        attributes: How the labels were drawn, as JSON values.
    """

    name: str
    part: str
    rows: tuple[np.ndarray, ...]
    attributes: dict[str, Any]

    def __post_init__(self) -> None:
        own = tuple(exact(rows, np.int64, f"Rows of label set {self.name!r}") for rows in self.rows)
        for rows in own:
            rows.flags.writeable = False
        object.__setattr__(self, "rows", own)
        object.__setattr__(self, "attributes", json_value(self.attributes, f"Attributes of label set {self.name!r}"))

    def __len__(self) -> int:
        return sum(map(len, self.rows))

    @property
    def digest(self) -> str:
        """Hash of the rows."""
        hasher = hashlib.sha256()
        for rows in self.rows:
            hasher.update(np.ascontiguousarray(rows, "<i8").tobytes() + b"|")
        return hasher.hexdigest()

    def check(self, rollouts: Rollouts, span: int) -> None:
        """Check that each row begins an item of `rollouts`.

        Args:
            rollouts: The data.
            span: Rows per item.

        Raises:
            ValueError: The number of stores differs, a row begins no item, or the expert did not choose its action.
        """
        if len(self.rows) != len(rollouts):
            raise ValueError(
                f"Label set {self.name!r} covers {len(self.rows)} stores, the rollouts have {len(rollouts)}."
            )
        for store, rows in zip(rollouts.stores, self.rows, strict=True):
            good = store.segments.contains(rows, span)
            if not good.all():
                raise ValueError(
                    f"Row {rows[~good][0]} of label set {self.name!r} begins no item of {span} rows in {store.path}."
                )
            chosen = expert_chose(store)
            if chosen is not None and not chosen[rows].all():
                raise ValueError(
                    f"Row {rows[~chosen[rows]][0]} of label set {self.name!r} has an action that the expert did not "
                    f"choose in {store.path}: draw the labels anew."
                )


def make_labels(
    rollouts: Rollouts,
    name: str,
    *,
    fraction: float | None = None,
    count: int | None = None,
    levels: Sequence[str] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    overwrite: bool = False,
    groups: Sequence[np.ndarray] | None = None,
    about: Mapping[str, Any] | None = None,
) -> tuple[LabelSet, LabelSet]:
    """Draw labeled transitions and store them as `labels/<name>` in each store.

    Labels are drawn uniformly, the same number from each level, among transitions whose action is known and was the
    expert's choice. With `groups`, the training labels of a level are instead taken from its groups in turns, in an
    order that the seed shuffles, so that rare kinds of transitions occur as often as common ones. Validation labels do
    not depend on the groups.

    Args:
        rollouts: The data.
        name: Name of the label set: letters, digits, "-", "_", ".".
        fraction: Number of labels as a fraction of the steps of *all* rollouts (in the paper 0.00025 over all levels,
            or 0.0004 from one level).
        count: Number of labels; give either this or `fraction`.
        levels: Draw from these levels only (in the paper, the narrow source is `["lasertag_one_opponent_large"]`), with
            or without `contributed/dmlab30/`; None for all levels that have actions.
        validation: Fraction of the labels that becomes the part "validation".
        seed: Seed of the draw.
        overwrite: Replace an existing label set of this name.
        groups: For each store, (rows,) int, the group of the transition that begins at each row.
        about: Where the groups come from, as JSON values; they become attributes of the set.

    Returns:
        The parts "train" and "validation".

    Raises:
        ValueError: An argument is out of range, or the budget is impossible; the message gives the numbers.
        StoreError: There is a label set of this name, or a store to draw from has no actions.
    """
    if (fraction is None) == (count is None):
        raise ValueError(
            f"A label budget is a fraction or a count: fraction is {fraction}, count is {count}, expected exactly one "
            "of them."
        )
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ValueError(f"Label set name {name!r}: expected letters, digits, '-', '_' and '.'.")
    fraction, validation = json_value(fraction, "fraction"), json_value(validation, "validation")
    count, seed = None if count is None else int64(count, "count", low=0), int64(seed, "seed")
    if not 0 <= validation < 1:
        raise ValueError(f"validation is {validation}: expected a part of the labels, 0 to below 1.")
    if fraction is not None and not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}: expected a part of all steps, above 0 to 1.")
    if levels is not None:
        levels = [level_folder(level) for level in ([levels] if isinstance(levels, str) else levels)]
    missing = set(levels or ()) - set(rollouts.levels)
    if missing:
        raise ValueError(
            f"Level {sorted(missing)[0]} is not among the rollouts: they have {', '.join(rollouts.levels)}."
        )
    chosen = [store for store in rollouts.stores if (store.with_actions if levels is None else store.level in levels)]
    silent = [store for store in chosen or rollouts.stores if not store.with_actions]
    if silent:
        raise StoreError(f"{silent[0].path} has no actions: labels need rollouts written with them.")
    total = round(fraction * rollouts.steps) if fraction is not None else count or 0
    held_out = round(validation * total)
    if total < len(chosen):
        raise ValueError(
            f"A budget of {total} labels is too small for {len(chosen)} levels: expected at least one per level."
        )
    attributes = {
        "name": name,
        "fraction": fraction,
        "count": count,
        "labels": total,
        "levels": list(levels or rollouts.levels),
    }
    over = "levels" if groups is None else "levels, and within them over groups"
    attributes |= {"validation": validation, "seed": seed, "rule": f"uniform over {over}, without replacement"}
    attributes |= about or {}
    drawn: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for folder in (store.path / "labels" / name for store in rollouts.stores):
        if folder.exists() and not overwrite:
            raise StoreError(f"{folder} exists: choose another name, or overwrite it.")
    for store in rollouts.stores:
        number = chosen.index(store) if store in chosen else -1
        train, kept = (
            (_share(total - held_out, len(chosen), number), _share(held_out, len(chosen), number))
            if number >= 0
            else (0, 0)
        )
        items = _candidates(store) if number >= 0 else Items(store.segments, 2)
        if train + kept > len(items):
            raise ValueError(
                f"A budget of {train + kept} labels from {store.path}: it has {len(items)} transitions whose action is "
                "known."
            )
        key = (seed, *store.level.encode())
        shuffle = Permutation(max(len(items), 1), *key)
        order = np.arange(train)
        if groups is not None and number >= 0:
            free = items.rows(shuffle(np.arange(len(items) - kept)))
            order = _in_turn(groups[len(drawn["train"])][free], key)
        drawn["train"].append(np.sort(items.rows(shuffle(order[:train]))))
        drawn["validation"].append(np.sort(items.rows(shuffle(np.arange(len(items) - kept, len(items))))))
    for i, store in enumerate(rollouts.stores):
        rows = {part: drawn[part][i] for part in PARTS}
        _save(store.path / "labels" / name, rows, {**attributes, "data": store.digest, "rows": store.rows})
    first, second = (LabelSet(name, part, tuple(drawn[part]), attributes) for part in PARTS)
    return first, second


def load_labels(rollouts: Rollouts, name: str, part: str = "train") -> LabelSet:
    """Read a part of a label set.

    Args:
        rollouts: The data.
        name: Name of the label set.
        part: "train" or "validation".

    Raises:
        StoreError: A store has no set of that name (the message lists those it has), or the sets of two stores were
            drawn in different ways.
        ValueError: `part` is something else.
    """
    if part not in PARTS:
        raise ValueError(f"Part {part!r} of a label set: expected 'train' or 'validation'.")
    rows: list[np.ndarray] = []
    attributes: dict[str, Any] = {}
    for store in rollouts.stores:
        folder = store.path / "labels" / name
        if not (folder / "zarr.json").exists():
            raise StoreError(
                f"{store.path} has no label set {name!r}: it has {', '.join(label_names(store.path)) or 'none'}."
            )
        found = {
            key: value
            for key, value in read_json(folder / "zarr.json")["attributes"].items()
            if key not in ("data", "rows")
        }
        # collections may be labeled separately, but all levels of one call must have the same attributes
        if rows and found != attributes and found["levels"] == attributes["levels"]:
            raise StoreError(
                f"Label set {name!r} of {store.path} was drawn in another way than that of {rollouts.stores[0].path}: "
                "make it again."
            )
        attributes = found
        length = int(read_json(folder / part / "zarr.json")["shape"][0])
        rows.append(Column(folder / part, length).read())
    return LabelSet(name, part, tuple(rows), attributes)


def label_names(path: Path) -> list[str]:
    """List the names of a store's label sets."""
    return sorted(
        file.parent.name for file in (path / "labels").glob("*/zarr.json") if not file.parent.name.startswith(".")
    )


def _candidates(store: RolloutStore) -> Items | ListedItems:
    """Find the transitions that may become labels: their action is known and was the expert's choice."""
    items, good = Items(store.segments, 2), expert_chose(store)
    if store.acted.sum() < store.steps:  # some episodes are video
        good = store.acted if good is None else good & store.acted
    if good is None:
        return items
    rows = items.rows(np.arange(len(items)))
    return ListedItems(rows[good[rows]])


def _in_turn(groups: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
    """Order shuffled items, whose groups are given, so that the groups take turns."""
    names, group = np.unique(groups, return_inverse=True)
    by_group = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=len(names))
    turn = np.empty(len(groups), np.int64)
    turn[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    # shuffled, so that the order of groups does not depend on their names
    place = Permutation(len(names), *key, 1)(np.arange(len(names)))
    return np.lexsort((place[group], turn))


def _share(total: int, parts: int, number: int) -> int:
    """Size of part `number` if `total` is divided into `parts` as evenly as possible."""
    return total * (number + 1) // parts - total * number // parts


def _save(folder: Path, rows: dict[str, np.ndarray], attributes: dict[str, Any]) -> None:
    with disk_errors(folder), atomic_folder(folder, replace=True) as temporary:
        create_arrays(
            temporary, {part: column_metadata("int64", (), max(1, len(values))) for part, values in rows.items()}
        )
        append_rows(temporary, dict.fromkeys(rows, 0), rows)
        write_json(temporary / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})
        group = folder.parent / "zarr.json"
        if not group.exists():
            write_json(group, {"zarr_format": 3, "node_type": "group", "attributes": {}})
