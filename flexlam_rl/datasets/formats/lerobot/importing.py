"""Import of LeRobot datasets of version 3.

Legend: `T` actions of an episode, `R` its rows, `D` dimensions of an action.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.lerobot import layout
from flexlam_rl.datasets.formats.lerobot.choices import Rule
from flexlam_rl.datasets.formats.lerobot.reading import Dataset
from flexlam_rl.datasets.import_source import stored_lengths
from flexlam_rl.datasets.resize import Resize
from flexlam_rl.datasets.rewards import exact_rewards, reward_type
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.shares import SPLITS, split_of
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter, store_path
from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.action_values import stored_actions
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import Progress, no_progress


@dataclass(frozen=True)
class _Plan:
    """The parts of a dataset that are imported.

    Attributes:
        cameras: The feature that becomes the frames, then those that become extra columns.
        numbers: Maps features to the names of the extra columns that they become.
        types: Types and row shapes of all extra columns.
        actions: Description of the actions; None for DeepMind Lab's, or if there are none.
        acts: Whether there are actions.
        size: New size of the frames; None keeps it.
    """

    cameras: tuple[str, ...]
    numbers: dict[str, str]
    types: dict[str, tuple[str, tuple[int, ...]]]
    actions: ActionSpec | None
    acts: bool
    size: Resize | None


def import_lerobot(
    folder: str | Path,
    root: str | Path,
    level: str | None = None,
    cameras: Sequence[str] = (),
    split: Rule | None = None,
    test_share: float = 0.1,
    *,
    size: Resize | None = None,
    bounds: tuple[float, float] | None = None,
    progress: Progress = no_progress,
) -> list[RolloutStore]:
    """Import a LeRobot dataset. After an interruption, the same call continues.

    Datasets that this project exported come back with their origin, actions, restarts, ends and keys. In other
    datasets, an episode is terminated if `next.done` says so, and cut otherwise; rewards are 0 without `next.reward`;
    numeric features (`observation.state`, ...) become extra columns of the same names.

    Args:
        folder: Folder that contains `meta/info.json`.
        root: Folder of the collection to write to.
        level: Name of the level to create; None for that of the exported store, else the folder's name.
        cameras: The camera whose pictures become the frames, then others that become extra columns; empty for the only
            camera.
        split: "episodes" sends a share of the episodes to the test split; "train" or "test" sends all there. None for
            the split of the exported store, else "episodes".
        test_share: Share of the episodes for the test split.
        size: New size of the frames; None keeps it.
        bounds: Lowest and highest continuous action, for all dimensions; None for those of the exported store, else
            those found in the data.
        progress: Called with the number of episodes read and the total.

    Returns:
        The stores.

    Raises:
        StoreError: There is no dataset of version 3, no such camera, or stores cannot hold such actions.
        ValueError: A store cannot hold a value, or a split would be empty.
    """
    data = Dataset(folder)
    ours: dict[str, Any] = data.info.get(layout.OURS, {})
    plan = _plan(data, cameras, size, bounds, ours)
    level = level or ours.get("level") or data.folder.resolve().name
    rule = split or ("episodes" if not ours else None)
    where = [
        ours["split"] if rule is None else _split(rule, number, test_share) for number in range(len(data.episodes))
    ]
    missing = [name for name in SPLITS if rule == "episodes" and name not in where]
    if missing:
        raise ValueError(
            f"{len(where)} episodes and a test share of {test_share:g} leave none for the {missing[0]} split: give "
            "another --test-share, or --split train."
        )
    origin = _origin(data, plan, ours, rule, test_share)
    if not ours:
        for name in dict.fromkeys(where):
            stored_lengths(store_path(root, level, name), origin.source)
    reward = _reward_type(data)
    stores = []
    for name in sorted(set(where), key=[*SPLITS, *where].index):
        with RolloutWriter(
            root, level, name, origin, with_actions=plan.acts, extra=plan.types, reward=reward
        ) as writer:
            before = writer.episodes
            for seen, number in enumerate(n for n, of in enumerate(where) if of == name):
                progress(number, len(where))
                key = data.episodes[number].get(f"{layout.OURS}.key", number)
                # episodes without a key come in a fixed order, so the first `before` of them are stored already
                if key not in writer.keys and (key >= 0 or seen >= before):
                    writer.append_episode(_episode(data, plan, number, key, writer.reward))
        stores.append(RolloutStore(writer.path))
    progress(len(where), len(where))
    return stores


def _split(rule: str, number: int, share: float) -> str:
    return split_of(number, share) if rule == "episodes" else rule


def _plan(
    data: Dataset, cameras: Sequence[str], size: Resize | None, bounds: tuple[float, float] | None, ours: dict[str, Any]
) -> _Plan:
    known = data.cameras
    if not cameras:
        if len(known) > 1 and not ours:
            raise StoreError(f"{data.folder} has the cameras {', '.join(known)}: choose with --camera.")
        cameras = known if ours else known[:1]
    for name in cameras:
        if name not in known:
            raise StoreError(f"{data.folder} has no camera {name!r}: it has {', '.join(known) or 'none'}.")
    if not cameras:
        raise StoreError(f"{data.folder} has no pictures: expected a feature of the dtype video or image.")
    back = {feature: column for column, feature in ours.get("columns", {}).items()}
    left_out = [name for name in known if name not in cameras]
    own = {layout.NATIVE, layout.TERMINATED, layout.TRUNCATED, layout.RESTART, layout.LAST} if ours else set()
    skipped = {layout.ACTION, layout.REWARD, layout.DONE, *layout.COUNTED, *known, *own}
    numbers, types = {}, {}
    for name, feature in data.features.items():
        if name in skipped:
            continue
        if _kind(feature) not in "biuf":
            left_out.append(name)
            continue
        shape = tuple(feature["shape"])
        numbers[name] = back.get(name, name)
        types[numbers[name]] = (np.dtype(feature["dtype"]).name, () if shape == (1,) else shape)
    types |= {name: (dtype, tuple(row)) for name, (dtype, row) in ours.get("extra", {}).items() if name in types}
    for name in cameras[1:]:
        height, width, channels = _shape(data, name)
        kept = (height, width) if size is None else (size.height, size.width)
        types[back.get(name, name)] = ("uint8", (*kept, channels))
    if left_out:
        warnings.warn(f"Features of {data.folder} are left out: {', '.join(left_out)}.", stacklevel=3)
    acts = ours.get("with_actions", layout.ACTION in data.features)
    origin = Origin.from_attributes(ours["origin"]) if ours else None
    actions = origin.actions if origin is not None else _actions(data, bounds) if acts else None
    ordered = {name: types[name] for name in ours.get("extra", types) if name in types}
    return _Plan(tuple(cameras), numbers, ordered, actions, acts, size)


def _kind(feature: dict[str, Any]) -> str:
    """NumPy's letter for a feature's type; "O" for texts and types that NumPy does not have."""
    try:
        return np.dtype(feature["dtype"]).kind
    except TypeError:
        return "O"


def _shape(data: Dataset, camera: str) -> tuple[int, ...]:
    """Read height, width and channels of a camera's pictures before resizing."""
    return data.frames(0, camera).shape[1:]


def _actions(data: Dataset, bounds: tuple[float, float] | None) -> ActionSpec:
    """Describe the actions. LeRobot's format has no bounds, so by default they are those of all actions in the data."""
    feature = data.features[layout.ACTION]
    if _kind(feature) not in "biuf":
        raise StoreError(f"{data.folder} has actions of the type {feature['dtype']}: expected numbers.")
    values, kind = data.whole(layout.ACTION), np.dtype(feature["dtype"])
    low, high = values.min(0), values.max(0)
    if kind.kind == "f":
        if not np.isfinite(values).all():
            raise StoreError(f"{data.folder} has an action that is not finite: expected numbers.")
        if bounds is not None:
            low, high = (np.full(values.shape[1], bound, kind) for bound in bounds)
        still = low == high  # a dimension that never changes still needs low < high; any bounds around it will do
        low, high = low - still.astype(kind), high + still.astype(kind)
        return action_spec_of(gym.spaces.Box(low, high, dtype=kind.type), layout.ACTION)
    start = np.minimum(low.astype(np.int64), 0)
    count = high.astype(np.int64) - start + 1
    if len(count) == 1:
        return action_spec_of(gym.spaces.Discrete(int(count[0]), start=int(start[0])), layout.ACTION)
    return action_spec_of(gym.spaces.MultiDiscrete(count, start=start), layout.ACTION)


def _origin(data: Dataset, plan: _Plan, ours: dict[str, Any], rule: Rule | None, share: float) -> Origin:
    pictures = data.features[plan.cameras[0]]["dtype"]
    size = None if plan.size is None else f"{plan.size.width}x{plan.size.height} {plan.size.fit}"
    changed: dict[str, Any] = {} if size is None else {"size": size}
    if ours:
        origin = Origin.from_attributes(ours["origin"])
        changed |= {"lossy": "H.264 (LeRobot)"} if pictures == "video" else {}
        return replace(origin, source={**origin.source, **changed}) if changed else origin
    source = {
        "format": "lerobot",
        "folder": data.folder.resolve().name,
        "cameras": list(plan.cameras),
        "fps": data.fps,
        "pictures": pictures,
        "split": rule,
        "test_share": share if rule == "episodes" else None,
        "rewards": layout.REWARD in data.features,
        **changed,
    }
    actions = plan.actions
    named: dict[str, Any] = (
        {"actions": actions, "action_set": layout.ACTION, "action_hash": actions.hash} if actions else {}
    )
    return Origin(env_id=str(data.info.get("robot_type") or ""), policy="unknown", source=source, **named)


def _reward_type(data: Dataset) -> str:
    feature = data.features.get(layout.REWARD)
    return "float32" if feature is None else reward_type(np.dtype(feature["dtype"]))


def _episode(data: Dataset, plan: _Plan, number: int, key: int, reward: str) -> Episode:
    """Read one episode in the form that a store accepts."""
    what, about = f"episode {number} of {data.folder}", data.episodes[number]
    wanted = [*plan.numbers, "task_index"]
    wanted += [name for name in (layout.NATIVE, layout.TERMINATED, layout.TRUNCATED, layout.RESTART, layout.LAST,
                                 layout.ACTION, layout.REWARD, layout.DONE) if name in data.features]  # fmt: skip
    rows = data.rows(number, wanted)
    count = about["length"]
    pictures = {name: _sized(data.frames(number, name), plan.size) for name in plan.cameras}
    length = count - int(rows[layout.LAST].sum()) if layout.LAST in rows else count
    extra = {column: rows[name].reshape(count, *plan.types[column][1]) for name, column in plan.numbers.items()}
    others = [column for column, (_, row) in plan.types.items() if column not in extra and len(row) == 3]
    extra |= dict(zip(others, (pictures[name] for name in plan.cameras[1:]), strict=True))
    done = rows.get(layout.DONE, np.zeros(count, bool)).astype(bool)
    cut = rows.get(layout.TRUNCATED, np.zeros(count, bool)).astype(bool)
    acts: dict[str, Any] = {}
    if plan.acts:
        acts = _acts(rows, plan, length, what)
        gained = rows.get(layout.REWARD, np.zeros(count, np.float32))[:length]
        acts["reward"] = exact_rewards(gained.reshape(length), reward, what)
    said = [data.tasks[i] for i in rows["task_index"].reshape(-1).tolist()]
    return Episode(
        frames=pictures[plan.cameras[0]],
        terminated=bool(rows[layout.TERMINATED].any()) if layout.TERMINATED in rows else bool(done[-1] and not cut[-1]),
        truncated=bool(cut.any()),
        restart=rows[layout.RESTART].astype(bool).reshape(count) if layout.RESTART in rows else None,
        instruction=said[0] if len(set(said)) == 1 else said,
        seed=int(about.get(f"{layout.OURS}.seed", -1)),
        key=key,
        extra=extra,
        **acts,
    )


def _acts(rows: dict[str, np.ndarray], plan: _Plan, length: int, what: str) -> dict[str, Any]:
    values = rows[layout.ACTION][:length]
    if plan.actions is not None:
        shape = plan.actions.shape if plan.actions.space else ()
        return {"action": stored_actions(values.reshape(length, *shape), plan.actions, f"Action of {what}")}
    if values.ndim > 1 and values.shape[1] == 7:
        return {"action_native": values}
    return {"action": values.reshape(length), "action_native": rows[layout.NATIVE][:length]}


def _sized(frames: np.ndarray, size: Resize | None) -> np.ndarray:
    return frames if size is None else np.stack([size(frame) for frame in frames])
