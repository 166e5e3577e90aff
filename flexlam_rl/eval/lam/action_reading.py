"""Measures whether an action can still be read from a code that was moved to another world. Only actions whose names
both worlds share are used (`flexlam_rl.envs.action_names`).

A *reader* is linear (multinomial logistic regression on codes) and knows only the labels of one world.

Shapes: B transitions, F features, A names.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.eval.lam.metrics import Transitions, encode
from flexlam_rl.eval.lam.probe import latent_features, logistic
from flexlam_rl.eval.lam.round_trip import there
from flexlam_rl.models.pixel_model import PixelModel

FEWEST = 12
"""Smallest number of transitions of a name in each part of each world; a name with fewer is left out."""
_DECAYS = (1e-3, 1e-2, 1e-1, 1.0)
Reader = Callable[[Tensor], Tensor]


def shared_names(parts: Sequence[tuple[Transitions, Sequence[str]]]) -> list[str]:
    """Return the names of the actions of which every part has at least `FEWEST` transitions.

    Args:
        parts: Transitions, each with the action names of their world.
    """
    if any(not names or data.action is None for data, names in parts):
        return []
    return [name for name in parts[0][1] if all(len(_rows(data, names, name)) >= FEWEST for data, names in parts)]


def balanced(data: Transitions, names: Sequence[str], wanted: Sequence[str], most: int) -> tuple[Transitions, Tensor]:
    """Take equally many transitions of each wanted name.

    Args:
        data: The transitions.
        names: Names of the actions in their world.
        wanted: Names to take.
        most: Largest number of transitions per name.

    Returns:
        The transitions, in mixed order, and the number of each one's name in `wanted`.
    """
    rows = [_rows(data, names, name) for name in wanted]
    each = min([most, *map(len, rows)])
    chosen = torch.stack([found[:each] for found in rows], 1).flatten()  # names take turns
    return data[chosen], torch.arange(len(wanted)).repeat(each)


def fit(features: Tensor, labels: Tensor, classes: int) -> Reader:
    """Fit a reader on features (B, F). The decay is chosen on the last quarter; then all rows are fitted."""
    mean, scale = features.mean(0), features.std(0).clamp_min(1e-3)
    scaled, cut = (features - mean) / scale, 3 * len(features) // 4

    def right(decay: float) -> float:
        weight, bias = logistic(scaled[:cut], labels[:cut], classes, decay)
        return float(((scaled[cut:] @ weight + bias).argmax(-1) == labels[cut:]).double().mean())

    weight, bias = logistic(scaled, labels, classes, max(_DECAYS, key=right))
    return lambda given: ((given - mean) / scale @ weight + bias).argmax(-1)


def readings(
    lam: PixelModel,
    source: tuple[Transitions, Transitions, Sequence[str]],
    target: tuple[Transitions, Transitions, Sequence[str]],
    budget: int,
    steps: int,
    seed: int,
    most: int = 100,
) -> dict[str, Any] | None:
    """Test which actions are read correctly, on equally many transitions of each name, so that chance is 1 / A.

    Args:
        lam: The latent action model.
        source, target: Transitions to fit on, transitions to read from, and the names of the world's actions.
        budget: Number of codes, K.
        steps, seed: Number of steps of the decoder, and seed of its noise.
        most: Largest number of transitions of each name.

    Returns:
        "names", and results (B,), 1 where the action is read correctly. "source" and "target": each world's reader on
        codes of its own transitions. "moved": the source's reader on codes that were moved to the target and extracted
        again there. "moved_shuffled": the same with the moved codes of other transitions. "moved_by_target": the
        target's reader on the moved codes. "across": the source's reader on codes of the target's own transitions. None
        where the worlds share fewer than two names of known actions.
    """
    names = shared_names([(data, world[2]) for world in (source, target) for data in world[:2]])
    if len(names) < 2:
        return None

    def features(latents: Tensor) -> Tensor:
        return latent_features(lam, latents[:, :budget]).cpu()

    readers, own, labels, shown = [], [], [], []
    for learned, held_out, words in (source, target):
        data, label = balanced(learned, words, names, most)
        readers.append(fit(features(encode(lam, data)), label, len(names)))
        data, label = balanced(held_out, words, names, most)
        shown.append(data)
        labels.append(label)
        own.append(features(encode(lam, data)))
    frames = target[1].obs  # any frames of the target, not those with the same action
    frames = frames[torch.arange(len(shown[0]), device=frames.device) % len(frames)]
    moved = features(there(lam, shown[0].obs, shown[0].next_obs, frames, budget, steps, seed)[2])
    cases = {
        "source": (0, own[0], 0),
        "target": (1, own[1], 1),
        "moved": (0, moved, 0),
        "moved_shuffled": (0, moved[torch.randperm(len(moved), generator=torch.Generator().manual_seed(seed))], 0),
        "moved_by_target": (1, moved, 0),
        "across": (0, own[1], 1),
    }
    right = {name: (readers[i](given) == labels[j]).double() for name, (i, given, j) in cases.items()}
    return {"names": names, **right}


def _rows(data: Transitions, names: Sequence[str], name: str) -> Tensor:
    assert data.action is not None
    if name not in names:
        return torch.zeros(0, dtype=torch.int64)
    return (data.action[:, 0] == names.index(name)).nonzero()[:, 0]
