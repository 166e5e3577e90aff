"""A check that each row's action leads from its frame to the next one, computed from the frames themselves.

Looking right moves the picture to the left at once (DeepMind Lab's turning has no inertia), so the horizontal shift
between two frames tells which action lies between them. Shifted columns are the classic silent fault of imported data:
an inverse model trained on them learns the previous or the next action instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flexlam_rl.utils.errors import Misaligned

LAGS = (-3, -2, -1, 0, 1, 2, 3)
ENOUGH_TURNS = 30
LARGEST = 24  # pixels; turning by 60 pixels per frame at frame skip 4 moves the middle of a 64-pixel picture by 18


@dataclass(frozen=True)
class Alignment:
    """Alignment of actions and frames, as found from the frames.

    Attributes:
        lag: The action that leads from frame t to frame t + 1 is in row t + lag; None if the data cannot tell.
        weights: For each of `LAGS`, how strongly the action that many rows later explains the shift after row t,
            relative to the strongest. The correct lag has about 1.
        turns: Number of transitions with a turning action.
    """

    lag: int | None
    weights: tuple[float, ...]
    turns: int


def horizontal_shift(frames: np.ndarray, largest: int = LARGEST) -> np.ndarray:
    """Find by how many pixels the picture moves to the left from each frame to the next.

    The result is the integer shift with the smallest mean absolute difference of gray values, in the middle rows only,
    because sky and status bar do not move with the view.

    Args:
        frames: (T, H, W, C) uint8.
        largest: Largest shift to consider.

    Returns:
        Shifts, (T - 1,).
    """
    height, width = frames.shape[1:3]
    largest = min(largest, width // 2)
    grey = frames[:, height // 5 : height * 4 // 5].mean(-1, dtype=np.float32)
    grey -= grey.mean((1, 2), keepdims=True)
    now, after = grey[:-1], grey[1:]
    least = np.full(len(now), np.inf, np.float32)
    shift = np.zeros(len(now))
    for candidate in sorted(range(-largest, largest + 1), key=abs):  # small shifts first, so that they win ties
        size = abs(candidate)
        left, right = (
            (now[..., size:], after[..., : width - size])
            if candidate >= 0
            else (now[..., : width - size], after[..., size:])
        )
        error = np.abs(left - right).mean((1, 2))
        better = error < least
        least[better], shift[better] = error[better], candidate
    return shift


def find_alignment(frames: np.ndarray, yaw: np.ndarray, usable: np.ndarray | None = None) -> Alignment:
    """Find the row whose action explains the movement after frame t.

    Args:
        frames: (T, H, W, C) uint8, consecutive frames.
        yaw: (T,) how far each row's action turns right (negative: left), in any unit.
        usable: (T,) False where frame t + 1 does not continue frame t (episode ends, map restarts).

    Returns:
        The alignment; its lag is None if there are too few turns or no lag stands out.
    """
    shift = horizontal_shift(frames)
    edge = max(LAGS)
    at = np.arange(edge, len(shift) - edge)
    if usable is not None:
        at = at[np.asarray(usable, bool)[at]]
    yaw = np.asarray(yaw, np.float64)
    turns = int(np.count_nonzero(yaw[at])) if len(at) else 0
    if turns < ENOUGH_TURNS or not shift[at].any():
        return Alignment(None, (0.0,) * len(LAGS), turns)
    # one regression on all lags at once, so that a player who turns for several steps does not blur the result
    design = np.stack([yaw[at + lag] for lag in LAGS], 1)
    design = (design - design.mean(0)) / (design.std() + 1e-9)
    weights = np.linalg.lstsq(design, shift[at] - shift[at].mean(), rcond=None)[0]
    residual = shift[at] - shift[at].mean() - design @ weights
    variance = residual.var() * np.linalg.pinv(design.T @ design).diagonal()
    scores = weights / np.sqrt(variance + 1e-12)
    best = int(np.argmax(scores))
    others = np.delete(np.abs(weights), best).max()
    clear = scores[best] > 5 and weights[best] > 2 * others
    return Alignment(
        LAGS[best] if clear else None, tuple((weights / (np.abs(weights).max() + 1e-9)).round(3).tolist()), turns
    )


def check_alignment(
    frames: np.ndarray, action: np.ndarray, table: Sequence[Sequence[int]], usable: np.ndarray | None, what: str
) -> Alignment:
    """Check that actions are aligned with frames.

    Args:
        frames, usable: As for `find_alignment`.
        action: (T,) row numbers of `table`; -1 for no action.
        table: Native actions (n, 7); column 0 is looking right.
        what: Name of the data in errors.

    Returns:
        The alignment, which has lag 0.

    Raises:
        Misaligned: The columns are shifted, or these frames cannot tell.
        ValueError: The table has no row for an action.
    """
    outside = (action < -1) | (action >= len(table))
    if outside.any():
        raise ValueError(
            f"Action {action[outside][0]} of {what} is not in its action set: it has actions 0 to {len(table) - 1}."
        )
    yaw = np.append(np.asarray(table)[:, 0], 0)[action]
    found = find_alignment(frames, yaw, usable)
    if found.lag is None:
        raise Misaligned(
            f"The alignment of actions and frames of {what} cannot be told from {len(frames)} frames with "
            f"{found.turns} turns (weights of lags {LAGS[0]} to {LAGS[-1]}: {found.weights}): expected at least "
            f"{ENOUGH_TURNS} turns that move the picture; import with alignment='trust' if you know it is right."
        )
    if found.lag:
        raise Misaligned(
            f"The actions of {what} are shifted: the action that leads from frame t to frame t + 1 is in row "
            f"t{found.lag:+d}, expected row t; import with shift={found.lag} to move them."
        )
    return found
