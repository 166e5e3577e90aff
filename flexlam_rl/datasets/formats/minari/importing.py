"""Import from Minari, Farama's exchange format. Stores that this project exported come back unchanged."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.minari.library import KEEP_SEED, RESTART, SINGLE, load_minari, read_about
from flexlam_rl.datasets.import_source import stored_lengths
from flexlam_rl.datasets.rewards import exact_rewards, reward_type
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter, store_path
from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.action_values import stored_actions
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import Progress, no_progress
from flexlam_rl.utils.numbers import exact


def import_minari(
    dataset: Any,
    root: str | Path,
    level: str | None = None,
    split: str | None = None,
    origin: Origin | None = None,
    *,
    progress: Progress = no_progress,
    **layout: Any,
) -> RolloutStore:
    """Import a Minari dataset with image observations. After an interruption, the same call continues.

    In datasets that this project did not export, the info `map_reset` becomes map restarts. Other infos are left out,
    with a warning that names them.

    Args:
        dataset: A `minari.MinariDataset`, or the folder of its data.
        root: Folder of the collection to write to.
        level, split, origin: By default those of the exported store; other datasets need a level.
        progress: Called with the number of episodes read and the total.
        **layout: Options of a new store: chunk, shard, codec, compression, reward. By default, rewards get a type that
            holds those of the dataset.

    Returns:
        The store.

    Raises:
        StoreError: The observations are not images, stores cannot hold the actions, or the level is unknown.
        ValueError: The store cannot hold a value.
    """
    minari, _, _ = load_minari()
    if isinstance(dataset, str | Path):
        dataset = Path(dataset).resolve()
        if not (dataset / "metadata.json").exists():
            raise StoreError(
                f"{dataset} contains no Minari dataset: expected its folder `data`, with metadata.json in it."
            )
        dataset = minari.MinariDataset(dataset)
    about = read_about(dataset)
    level, split = level or about.get("level"), split or about.get("split", "train")
    if level is None:
        raise StoreError(f"The Minari dataset {dataset.id!r} names no level: give one as level.")
    space, actions = dataset.observation_space, dataset.action_space
    if not isinstance(space, gym.spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        raise StoreError(
            f"The Minari dataset {dataset.id!r} has the observations {space}: expected one image, uint8 (height, "
            "width, channels)."
        )
    kept = Origin.from_attributes(about["origin"]) if about else origin
    # DeepMind Lab's actions have their own columns; an exported store's or the caller's origin says whether these are
    native = isinstance(actions, gym.spaces.Box) and actions.shape == (7,) and actions.dtype.kind in "iu"
    native = native and (kept is None or kept.actions is None)
    try:
        of = action_spec_of(actions) if kept is None and not native else None
    except ValueError as error:
        raise StoreError(f"The Minari dataset {dataset.id!r}: {error}") from None
    if kept is not None and kept.actions is None and not native and not isinstance(actions, gym.spaces.Discrete):
        raise StoreError(
            f"The Minari dataset {dataset.id!r} has the actions {actions}, but its origin says that they are DeepMind "
            "Lab's: expected Discrete, or seven native ones."
        )
    source: dict[str, Any] = {"format": "minari", "id": dataset.id}
    if origin is None:
        spec = dataset.env_spec
        name: dict[str, Any] = {"action_set": str(actions), "action_hash": "" if of is None else of.hash, "actions": of}
        origin = kept or Origin(env_id=spec.id if spec is not None else "", source=source, **name)
    if dataset.storage.metadata.get("jpeg_encoding", True):
        origin = replace(origin, source={**origin.source, "lossy": "JPEG (Minari)"})
    if not about:
        stored_lengths(store_path(root, level, split), source)
    extra = {name: (dtype, tuple(shape)) for name, (dtype, shape) in about.get("extra", {}).items()}
    texts = about.get("instructions", [""])
    seeds = [found.get("seed") for found in dataset.storage.get_episode_metadata(dataset.episode_indices)]
    left_out: set[str] = set()
    first = next(dataset.iterate_episodes(dataset.episode_indices[:1]), None) if dataset.total_episodes else None
    layout.setdefault("reward", reward_type("float32" if first is None else first.rewards.dtype))
    with RolloutWriter(root, level, split, origin, extra=extra, **layout) as writer:
        before = writer.episodes
        for number, one in enumerate(dataset.iterate_episodes()):
            progress(number, dataset.total_episodes)
            what = f"episode {one.id} of the Minari dataset {dataset.id!r}"
            infos = one.infos or {}
            if not about:
                left_out |= set(infos) - {RESTART}
                infos = {name: infos[name] for name in {RESTART} & set(infos)}
            episode = _episode(one, infos, native, texts, extra, seeds[number], what, writer.reward, origin.actions)
            # episodes without a key come in a fixed order, so the first `before` of them are stored already
            if episode.key not in writer.keys and (episode.key >= 0 or number >= before):
                writer.append_episode(episode)
        path = writer.path
    progress(dataset.total_episodes, dataset.total_episodes)
    if left_out:
        names = ", ".join(sorted(left_out))
        warnings.warn(
            f"Infos of the Minari dataset {dataset.id!r} are left out, because a store has no place for them: {names}.",
            stacklevel=2,
        )
    return RolloutStore(path)


def _episode(
    one: Any,
    infos: dict[str, Any],
    native: bool,
    texts: list[str],
    extra: dict[str, Any],
    seed: Any,
    what: str,
    reward: str,
    spec: ActionSpec | None,
) -> Episode:
    infos = {
        name: values[:, 0] if name in SINGLE else values
        for name, values in infos.items()
        if isinstance(values, np.ndarray)
    }
    rows = len(one.rewards) + int(infos.get("has_last", [True])[0])
    if spec is None:
        actions = exact(one.actions, np.int16, f"Action of {what}")
    else:
        actions = stored_actions(one.actions, spec, f"Action of {what}")
    if spec is None and not native and (actions < 0).any():
        raise ValueError(f"Action {actions.min()} of {what}: expected the number of an action, 0 or more.")
    ends = {name: exact(getattr(one, name), bool, f"{name} of {what}") for name in ("terminations", "truncations")}
    for name, flags in ends.items():
        if flags[:-1].any():
            raise ValueError(
                f"{name} of {what} has an end at step {int(flags.argmax())} of {len(flags)}: expected one at the last "
                "step only."
            )
    infos = {name: values[:rows] for name, values in infos.items()}
    restart = infos.get("restart")
    if restart is None and RESTART in infos:
        restart = infos[RESTART].reshape(rows)
    said = [texts[i] for i in infos["instruction"]] if "instruction" in infos else ""
    return Episode(
        frames=np.ascontiguousarray(one.observations[:rows]),
        action=None if native else actions,
        action_native=actions if native else _first(infos.get("action_native"), len(actions)),
        reward=exact_rewards(one.rewards, reward, what),
        terminated=bool(ends["terminations"][-1]),
        truncated=bool(ends["truncations"][-1]),
        restart=None if restart is None else exact(restart, bool, f"Restart of {what}"),
        instruction=said,
        seed=int(infos[KEEP_SEED][0]) if KEEP_SEED in infos else -1 if seed is None else int(seed),
        key=int(infos["key"][0]) if "key" in infos else int(one.id),
        extra={name: infos[f"extra_{name}"].reshape(rows, *shape) for name, (_, shape) in extra.items()},
    )


def _first(values: np.ndarray | None, count: int) -> np.ndarray | None:
    return None if values is None else values[:count]
