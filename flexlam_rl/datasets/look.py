"""Statistics and pictures of a store, for people."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.samplers import TransitionPairs, Windows
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.envs.action_values import own_actions
from flexlam_rl.utils.pictures import Picture, caption, enlarged, evenly


def summary(store: RolloutStore) -> dict[str, Any]:
    """Summarize a store: counts, returns, actions and sizes, as JSON values."""
    table = store.episode_table
    raw = store.rows * int(np.prod(store.frames.row))
    stored = sum(file.stat().st_size for file in (store.path / "frames").rglob("*") if file.is_file())
    whole = store.terminated[:].any() or store.truncated[:].any()
    ended = (store.terminated.whole() | store.truncated.whole())[table["start"] + np.maximum(table["length"] - 1, 0)]
    returns = table["return"][ended] if whole else table["return"]
    found: dict[str, Any] = {
        "level": store.level,
        "split": store.split,
        "engine": f"{store.origin.engine} {store.origin.engine_version}".strip(),
        "textures": store.origin.textures,
        "policy": store.origin.policy,
        "frame_shape": list(store.frames.row),
        "rows": store.rows,
        "steps": store.steps,
        "episodes": store.episodes,
        "cut_episodes": int(store.episodes - ended.sum()),
        "restarts": int(np.count_nonzero(store.restart[:])),
        "pairs": store.segments.count(2),
        "windows_34": store.segments.count(34),
        "instructions": len(store.instructions),
        "bytes_per_frame": round(stored / max(store.rows, 1), 1),
        "raw_fraction": round(stored / max(raw, 1), 4),
        "references": store.origin.references,
    }
    if store.with_actions and store.episodes:
        error = float(returns.std(ddof=1) / np.sqrt(len(returns))) if len(returns) > 1 else None
        found["return"] = {
            "mean": float(returns.mean()) if len(returns) else None,
            "standard_error": error,
            "episodes": len(returns),
        }
        action = store.action[:][store.acted]
        if store.actions is None or store.actions.is_single:
            least = len(store.origin.action_table) if store.actions is None else store.actions.discrete[0]
            found["actions"] = np.bincount(action[action >= 0], minlength=least).tolist()
        elif len(action):
            own = own_actions(action, store.actions).reshape(len(action), -1).astype(np.float64)
            found["dimensions"] = [
                {"smallest": float(one.min()), "mean": float(one.mean()), "largest": float(one.max())} for one in own.T
            ]
        if len(action) < store.steps:
            found["steps_with_actions"] = len(action)
        found["rewarded_steps"] = int(np.count_nonzero(store.reward[:]))
    return found


def throughput(store: RolloutStore, seconds: float = 1.0) -> dict[str, float]:
    """Measure how many random pairs and 34-frame windows per second two threads read.

    Args:
        store: The store.
        seconds: Duration of each measurement.
    """
    found = {}
    for name, make, size in (("pairs_per_s", TransitionPairs, 256), ("windows_per_s", Windows, 32)):
        try:
            source = make(store)
        except ValueError:
            continue
        with source.batches(size, workers=2) as stream:
            next(stream)
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds:
                count += len(next(stream)["frames"])
            found[name] = round(count / (time.perf_counter() - start), 1)
    return found


def action_names(store: RolloutStore) -> list[str]:
    """Name each action of the store by what it does; empty if the action table is not known."""

    def describe(row: tuple[int, ...]) -> str:
        right, down, strafe, forward, fire, jump, crouch = row
        words = [{1: "forward", -1: "back"}.get(forward, ""), {1: "right", -1: "left"}.get(strafe, "")]
        words += [f"turn{right:+d}" if right else "", f"look{-down:+d}" if down else ""]
        words += [word for word, on in (("fire", fire), ("jump", jump), ("crouch", crouch)) if on]
        return " ".join(word for word in words if word) or "still"

    return [describe(row) for row in store.origin.action_table]


def sheet_pictures(store: RolloutStore, count: int = 16, episode: int | None = None, factor: int = 2) -> list[Picture]:
    """Make pictures with captions that are spread evenly over a store or an episode.

    Args:
        store: The store.
        count: Number of pictures.
        episode: Number of the episode, negative from the end; None for the whole store.
        factor: Enlargement.

    Returns:
        Pictures, each with episode, step and the return so far below it.

    Raises:
        ValueError: `count` is below 1.
        IndexError: There is no such episode.
    """
    if count < 1:
        raise ValueError(f"count is {count}: a sheet needs at least 1 frame.")
    if episode is not None and not -store.episodes <= episode < store.episodes:
        raise IndexError(f"Episode {episode} of {store.path}: it has {store.episodes} episodes.")
    table = store.episode_table
    low, high = (
        (0, store.rows)
        if episode is None
        else (int(table["start"][episode]), int(table["start"][episode] + table["rows"][episode]))
    )
    rows = [low + i for i in evenly(count, high - low)]
    frames, number = store.frames[np.array(rows)], store.episode[:][rows]
    gained = np.cumsum(store.reward[:], dtype=np.float64) if store.with_actions else np.zeros(store.rows)
    pictures = []
    for frame, row, i in zip(frames, rows, number.tolist(), strict=True):
        start = int(table["start"][i])
        so_far = gained[row] - (gained[start - 1] if start else 0.0)
        text = f"ep {i}, step {row - start}" + (f"\nreturn {so_far:g}" if store.with_actions else "")
        pictures.append(caption(enlarged(frame, factor), text, lines=2 if store.with_actions else 1))
    return pictures


def episode_pictures(store: RolloutStore, number: int, factor: int = 4) -> Iterator[Picture]:
    """Yield the pictures of one episode with step, action, reward, return and instruction drawn below each.

    Args:
        store: The store.
        number: Number of the episode, negative from the end.
        factor: Enlargement.
    """
    episode, names = store.episode_at(number), action_names(store)
    restart = np.zeros(episode.rows, bool) if episode.restart is None else episode.restart
    total = 0.0
    for t, frame in enumerate(episode.frames):
        said = episode.instruction if isinstance(episode.instruction, str) else episode.instruction[t]
        lines = [f"step {t}" + ("  map restart" if restart[t] else ""), "", said]
        if t < episode.length and episode.reward is not None:
            total += float(episode.reward[t])
            what = _action_text(episode, t, names, store)
            lines[1] = f"{what}   reward {episode.reward[t]:g}   return {total:g}"
        elif episode.reward is not None:
            lines[1] = f"end   return {total:g}"
        yield caption(enlarged(frame, factor), "\n".join(lines), lines=3)


def _action_text(episode: Episode, t: int, names: list[str], store: RolloutStore) -> str:
    if episode.action is None:
        native = episode.action_native
        return "" if native is None else " ".join(map(str, native[t].tolist()))
    if store.actions is not None:
        own = own_actions(episode.action[t : t + 1], store.actions).ravel()
        return " ".join(f"{number:.3g}" for number in own.tolist())
    number = int(episode.action[t])
    return names[number] if number < len(names) else str(number)
