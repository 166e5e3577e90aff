"""Export to Minari, Farama's exchange format, without losses.

Minari stores image observations as JPEG unless told otherwise. Its episodes have one observation more than actions: if
a store has no last observation, the one before is repeated and marked, and an import leaves it out again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.minari.library import KEEP_SEED, OURS, load_minari, read_about
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.envs.action_spaces import space_of
from flexlam_rl.envs.action_values import are_actions, own_actions
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.files import Progress, atomic_folder, disk_errors, no_progress


def export_minari(
    store: RolloutStore,
    folder: str | Path,
    dataset_id: str | None = None,
    *,
    jpeg: bool = False,
    data_format: str = "hdf5",
    progress: Progress = no_progress,
) -> Any:
    """Write a store as a Minari dataset, atomically. An existing dataset with the same content is kept.

    Args:
        store: A store with actions.
        folder: Folder of the dataset's data (Minari looks for `<MINARI_DATASETS_PATH>/<dataset_id>/data`); it must not
            contain anything else.
        dataset_id: Name and version; by default "dmlab/<level>/<split>-v0".
        jpeg: Store JPEG pictures, which is Minari's default: smaller, but lossy.
        data_format: Minari's "hdf5" or "arrow".
        progress: Called with the number of episodes written and the total.

    Returns:
        The `minari.MinariDataset`.

    Raises:
        StoreError: An episode has no actions, some episodes have discrete and others native actions, or `folder`
            contains something else.
        ValueError: JPEG is asked for and frames do not have three channels.
    """
    minari, storage, buffer = load_minari()
    if not store.with_actions:
        raise StoreError(f"{store.path} is video without actions: Minari needs actions.")
    height, width, channels = store.frames.row
    if jpeg and channels != 3:
        raise ValueError(f"{store.path} has frames of {channels} channels: expected 3 for JPEG; export without jpeg.")
    if not store.acted[store.episode_table["start"]].all():
        silent = int(store.acted[store.episode_table["start"]].argmin())
        raise StoreError(
            f"Episode {silent} of {store.path} is video without actions: Minari needs actions in every episode."
        )
    numbered = are_actions(store.action[:][store.episode_table["start"]])
    if len(set(numbered.tolist())) > 1:
        raise StoreError(
            f"{store.path} has episodes with discrete and others with native actions: a Minari dataset has one action "
            "space."
        )
    native = not numbered.any()
    space = gym.spaces.Box(0, 255, (height, width, channels), np.uint8)
    actions: gym.Space[Any]
    if store.actions is not None:
        actions = space_of(store.actions)
    elif native:
        actions = gym.spaces.Box(-512, 512, (7,), np.int16)
    else:
        actions = gym.spaces.Discrete(max(len(store.origin.action_table), int(store.action[:].max()) + 1))
    folder = Path(folder).resolve()  # HDF5 and Arrow interpret relative paths in their own ways
    about = {name: store.attributes[name] for name in ("level", "split", "origin", "extra", "instructions")}
    about |= {"digest": store.digest, "jpeg": jpeg, "data_format": data_format}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = read_about(minari.MinariDataset(folder)) if (folder / "metadata.json").exists() else {}
        if found != json.loads(json.dumps(about)):
            raise StoreError(f"{folder} contains something else: delete it, or export to another folder.")
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


def _own(one: Episode, actions: ActionSpec | None) -> Any:
    return one.action if actions is None or one.action is None else own_actions(one.action, actions)


def _buffers(store: RolloutStore, buffer: Any, native: bool, progress: Progress) -> Iterator[Any]:
    texts = {text: number for number, text in enumerate(store.instructions)}
    for number in range(store.episodes):
        progress(number, store.episodes)
        one = store.episode_at(number)
        length, pad = one.length, int(not one.has_last)
        said = [one.instruction] * one.rows if isinstance(one.instruction, str) else list(one.instruction)
        restart = np.zeros(one.rows, bool) if one.restart is None else one.restart
        # one info per observation, each an array: Minari's arrow format cannot read bare numbers back
        infos: dict[str, Any] = {
            "restart": restart,
            "instruction": np.array([texts[text] for text in said], np.int32),
            **({} if one.action_native is None else {"action_native": one.action_native}),
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
            actions=one.action_native if native else _own(one, store.actions),
            rewards=one.reward,
            terminations=ends[0],
            truncations=ends[1],
            infos=infos,
        )
