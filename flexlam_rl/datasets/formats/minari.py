"""Export to and import from Minari, Farama's exchange format; lossless, there and back.

Minari stores image observations as JPEG unless it is told not to. Its episodes have one observation more than actions:
where a store has no last observation, the one before stands in for it, marked, and is left out again on the way back.
"""

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.resume import stored_lengths
from flexlam_rl.datasets.rewards import exact_rewards, reward_type
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter, store_path
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import Progress, atomic_folder, disk_errors, no_progress
from flexlam_rl.utils.numbers import exact

OURS = "flexlam_rl"  # key of a dataset's metadata that holds a store's attributes
KEEP_SEED = "flexlam_seed"  # Minari's own seeds cannot be negative
SINGLE = ("restart", "instruction", "has_last", "key", KEEP_SEED)
RESTART = "map_reset"  # the info by which environments of this package tell that the map restarted


def _minari() -> Any:
    try:
        import minari
        from minari.data_collector.episode_buffer import EpisodeBuffer
        from minari.dataset.minari_storage import MinariStorage
    except ImportError as error:
        raise ImportError(
            f"Minari import and export need the extra `minari`: pip install 'flexlam_rl[minari]' ({error})."
        ) from error
    return minari, MinariStorage, EpisodeBuffer


def export_minari(
    store: RolloutStore,
    folder: str | Path,
    dataset_id: str | None = None,
    *,
    jpeg: bool = False,
    data_format: str = "hdf5",
    progress: Progress = no_progress,
) -> Any:
    """Write a store as a Minari dataset, which appears whole or not at all. One of the same content that is there
    already is kept.

    Args:
        store: A store with actions.
        folder: Folder of the dataset's data (Minari looks for `<MINARI_DATASETS_PATH>/<dataset_id>/data`); must not
            hold another one.
        dataset_id: Name and version, by default "dmlab/<level>/<split>-v0".
        jpeg: Store JPEG pictures, as Minari does by itself; smaller and not the same pictures.
        data_format: Minari's "hdf5" or "arrow".
        progress: Told the episodes written and their number.

    Returns:
        The `minari.MinariDataset`.

    Raises:
        StoreError: The store has no actions, or `folder` holds something else.
        ValueError: JPEG pictures of other than three channels.
    """
    minari, storage, buffer = _minari()
    if not store.with_actions:
        raise StoreError(f"{store.path} holds video without actions: Minari needs them.")
    height, width, channels = store.frames.row
    if jpeg and channels != 3:
        raise ValueError(f"{store.path} has frames of {channels} channels: JPEG pictures have 3, export without jpeg.")
    numbered = store.action[:][store.episode_table["start"]] >= 0
    if len(set(numbered.tolist())) > 1:
        raise StoreError(
            f"{store.path} has episodes with discrete and others with native actions: Minari has one action space."
        )
    native = not numbered.any()
    space = gym.spaces.Box(0, 255, (height, width, channels), np.uint8)
    count = max(len(store.origin.action_table), int(store.action[:].max()) + 1)
    actions = gym.spaces.Box(-512, 512, (7,), np.int16) if native else gym.spaces.Discrete(count)
    folder = Path(folder).resolve()  # HDF5 and Arrow read a path that is not absolute as something else
    about = {name: store.attributes[name] for name in ("level", "split", "origin", "extra", "instructions")}
    about |= {"digest": store.digest, "jpeg": jpeg, "data_format": data_format}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = _about(minari.MinariDataset(folder)) if (folder / "metadata.json").exists() else {}
        if found != json.loads(json.dumps(about)):
            raise StoreError(f"{folder} holds something else: delete it, or export to another folder.")
        return minari.MinariDataset(folder)
    with disk_errors(folder), atomic_folder(folder) as temporary:
        written = storage.new(temporary, space, actions, data_format=data_format, jpeg_encoding=jpeg)
        written.update_metadata(
            {
                "dataset_id": dataset_id or f"dmlab/{store.level}/{store.split}-v0",
                "minari_version": minari.__version__,
                "algorithm_name": store.origin.policy,
                OURS: json.dumps(about),
            }
        )
        written.update_episodes(_buffers(store, buffer, native, progress))
    progress(store.episodes, store.episodes)
    return minari.MinariDataset(folder)


def _about(dataset: Any) -> dict[str, Any]:
    """What `export_minari` wrote of the store; empty for other datasets."""
    described: dict[str, Any] = json.loads(dataset.storage.metadata.get(OURS, "{}"))
    return described


def _buffers(store: RolloutStore, buffer: Any, native: bool, progress: Progress) -> Iterator[Any]:
    texts = {text: number for number, text in enumerate(store.instructions)}
    for number in range(store.episodes):
        progress(number, store.episodes)
        one = store.episode_at(number)
        length, pad = one.length, int(not one.has_last)
        said = [one.instruction] * one.rows if isinstance(one.instruction, str) else list(one.instruction)
        restart = np.zeros(one.rows, bool) if one.restart is None else one.restart
        # one info an observation, none of them a bare number: Minari's arrow format cannot read those back
        infos: dict[str, Any] = {
            "restart": restart,
            "instruction": np.array([texts[text] for text in said], np.int32),
            "action_native": one.action_native,
            **{f"extra_{name}": values for name, values in one.extra.items()},
        }
        infos = {
            name: np.concatenate([values, np.repeat(values[-1:], length + 1 - len(values), 0)])
            for name, values in infos.items()
        }
        infos |= {
            name: np.full(length + 1, value)
            for name, value in (("has_last", one.has_last), ("key", one.key), (KEEP_SEED, one.seed))
        }
        infos = {name: values.reshape(length + 1, -1) for name, values in infos.items()}
        ends = np.zeros((2, length), bool)
        ends[:, -1] = one.terminated, one.truncated
        yield buffer(
            id=number,
            seed=one.seed if one.seed >= 0 else None,
            observations=np.concatenate([one.frames, one.frames[-1:]]) if pad else one.frames,
            actions=one.action_native if native else one.action,
            rewards=one.reward,
            terminations=ends[0],
            truncations=ends[1],
            infos=infos,
        )


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
    """Import a Minari dataset with image observations. Run again after an interruption, it continues.

    Args:
        dataset: A `minari.MinariDataset`, or the folder of its data.
        root: Folder of the collection.
        level, split, origin: By default those of the store it was exported from; other datasets need a level.
        progress: Told the episodes read and their number.
        **layout: chunk, shard, codec, compression, reward of a new store; rewards have a type that holds those of the
            dataset.

    Returns:
        The store. Of infos that are not this package's, `map_reset` becomes map restarts; the others are left out, with
        a warning that names them.

    Raises:
        StoreError: The observations are no images, the actions neither discrete nor native, or level and split are
            unknown.
        ValueError: A value that the store cannot hold.
    """
    minari, _, _ = _minari()
    if isinstance(dataset, str | Path):
        dataset = Path(dataset).resolve()
        if not (dataset / "metadata.json").exists():
            raise StoreError(
                f"{dataset} holds no Minari dataset: expected its folder `data`, with metadata.json in it."
            )
        dataset = minari.MinariDataset(dataset)
    about = _about(dataset)
    level, split = level or about.get("level"), split or about.get("split", "train")
    if level is None:
        raise StoreError(f"The Minari dataset {dataset.id!r} names no level: pass level=.")
    space, actions = dataset.observation_space, dataset.action_space
    if not isinstance(space, gym.spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        raise StoreError(
            f"The Minari dataset {dataset.id!r} has the observations {space}: expected one image, uint8 (height, "
            "width, channels)."
        )
    native = not isinstance(actions, gym.spaces.Discrete)
    if native and not (isinstance(actions, gym.spaces.Box) and actions.shape == (7,)):
        raise StoreError(
            f"The Minari dataset {dataset.id!r} has the actions {actions}: expected Discrete, or DeepMind Lab's seven "
            "native ones."
        )
    source: dict[str, Any] = {"format": "minari", "id": dataset.id}
    if origin is None:
        spec = dataset.env_spec
        foreign = Origin(env_id=spec.id if spec is not None else "", action_set=str(actions), source=source)
        origin = Origin.from_attributes(about["origin"]) if about else foreign
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
            episode = _episode(one, infos, native, texts, extra, seeds[number], what, writer.reward)
            # they come in one order, so an episode without a key is there if as many are
            if episode.key not in writer.keys and (episode.key >= 0 or number >= before):
                writer.append_episode(episode)
        path = writer.path
    progress(dataset.total_episodes, dataset.total_episodes)
    if left_out:
        names = ", ".join(sorted(left_out))
        warnings.warn(
            f"Infos of the Minari dataset {dataset.id!r} are left out, a store has no place for them: {names}.",
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
) -> Episode:
    infos = {
        name: values[:, 0] if name in SINGLE else values
        for name, values in infos.items()
        if isinstance(values, np.ndarray)
    }
    rows = len(one.rewards) + int(infos.get("has_last", [True])[0])
    actions = exact(one.actions, np.int16, f"Action of {what}")
    if not native and (actions < 0).any():
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
