"""All figures of the audit. Each is 1 for a latent that is the player's true displacement, and about 0 for chance.

Legend: `B` transitions, `C H W` frame, `K` budget.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.eval.lam.action_reading import fit
from flexlam_rl.eval.lam.audit.dials import DIALS, dialed
from flexlam_rl.eval.lam.audit.measures import Figure, additivity, agreement, gained, reversal
from flexlam_rl.eval.lam.audit.subjects import Subject
from flexlam_rl.eval.lam.audit.walks import Walks
from flexlam_rl.eval.lam.probe import explained_with_error, probe_accuracy, small_view
from flexlam_rl.eval.lam.round_trip import there
from flexlam_rl.nn.other_rows import of_other_rows

STRENGTHS = (0.25, 0.5, 1.0)
MEASURES = {
    "additivity": "two steps add up to the transition that they make",
    "additivity_shuffled": "the same with the transition of other steps",
    "reversal": "a step seen backwards is the opposite one",
    "action": "actions read linearly: share of the errors of always naming the commonest that are avoided",
    "motion": "share of the variance of the player's movement (forward, left, turn, tilt) that is read linearly",
    "place": "the same for the depth seen before the step, which shows where the player is, not what happened",
    "cut_leakage": "the same for the frame after a cut to another place, to which no step could have led",
    "transfer": "actions read after decoding onto another frame and encoding again: share of shuffled errors avoided",
    **{
        f"{name}_{strength:g}": f"agreement with itself when {words} at strength {strength:g}"
        for name, words in (
            ("players", "other players walk through the frame"),
            ("textures", "a pattern drifts over the frame"),
            ("overlay", "the overlay is noise"),
        )
        for strength in STRENGTHS
    },
}
"""Name and meaning of each figure; for `place` and `cut_leakage`, less is better."""
FEWEST = 48
"""Smallest number of pairs of steps; thirds of fewer are too small for any figure."""


def examine(
    subject: Subject,
    walks: Walks,
    seed: int = 0,
    steps: int = 4,
    moved: int = 512,
    report: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Audit a subject at each of its budgets.

    Args:
        subject: The subject of the audit.
        walks: Pairs of steps.
        seed: Seed of dials, cuts, shuffles and the decoder's noise.
        steps: Number of steps of the decoder.
        moved: Number of transitions that are decoded onto other frames.
        report: Called with the name of each part before it is measured.

    Returns:
        One row per budget: "budget", and each of `MEASURES` that the subject has with its standard error (NAME_se).

    Raises:
        ValueError: There are too few pairs of steps.
    """
    if len(walks) < FEWEST:
        raise ValueError(f"There are {len(walks)} pairs of steps; at least {FEWEST} are needed.")
    first, between, last = walks.frames.unbind(1)
    generator = torch.Generator().manual_seed(seed)
    # mixed order, because thirds of the rows serve for fitting, choosing and testing
    order = torch.randperm(len(walks), generator=generator)
    elsewhere = of_other_rows(walks.frames[:, 1], generator)
    pairs = {
        "step": (first, between),
        "next": (between, last),
        "both": (first, last),
        "back": (between, first),
        "cut": (first, elsewhere),
    }
    for number, name in enumerate(DIALS):
        for strength in STRENGTHS:
            shown = dialed(name, walks.frames[:, :2], walks.depth[:, :2], strength, seed + number)
            pairs[f"{name}_{strength:g}"] = (shown[:, 0], shown[:, 1])
    latents: dict[str, Tensor] = {}
    for name, (now, then) in pairs.items():
        report(f"encoding: {name.replace('_', ' ')}")
        latents[name] = subject.encode(now, then)
    rows = []
    for budget in subject.budgets:
        report(f"K = {budget}")
        found = _geometry(subject, latents, budget, generator)
        found |= _readings(subject, latents, walks, elsewhere, order, budget)
        if subject.decoder is not None:
            found["transfer"] = transfer(subject, latents["step"], walks, order, budget, steps, moved, seed)
        rows.append({"budget": budget, **_flat(found)})
    return rows


def _geometry(
    subject: Subject, latents: Mapping[str, Tensor], budget: int, generator: torch.Generator
) -> dict[str, Figure]:
    v = {name: subject.vectors(part, budget) for name, part in latents.items()}
    found = {
        "additivity": additivity(v["step"], v["next"], v["both"]),
        "additivity_shuffled": additivity(v["step"], v["next"], of_other_rows(v["both"], generator)),
        "reversal": reversal(v["step"], v["back"]),
    }
    dials = [name for name in v if name.rpartition("_")[0] in DIALS]
    return found | {name: agreement(v["step"], v[name]) for name in dials}


def _readings(
    subject: Subject, latents: Mapping[str, Tensor], walks: Walks, elsewhere: Tensor, order: Tensor, budget: int
) -> dict[str, Figure]:
    features = subject.features(latents["step"], budget)[order]
    action = walks.action[order, 0]
    right, error = probe_accuracy(features, action, int(action.max()) + 1)
    commonest = float(torch.bincount(action).max() / len(action))
    room = max(1 - commonest, 1e-9)
    motion = walks.motion / walks.motion.std(0).clamp_min(1e-6)
    depth = F.adaptive_avg_pool2d(walks.depth[:, :1], 4).flatten(1)
    depth = depth / depth.std(0).clamp_min(1e-6)
    return {
        "action": Figure((right - commonest) / room, error / room),
        "motion": _read(features, motion[order]),
        "place": _read(features, depth[order]),
        "cut_leakage": _read(subject.features(latents["cut"], budget)[order], small_view(elsewhere, 4)[order]),
    }


def _read(features: Tensor, targets: Tensor) -> Figure:
    """Return the share of the variance of targets that is read linearly; 0 where they have no variance."""
    if float(targets.std(0).max()) < 1e-6:
        return Figure(0.0, 0.0)
    return Figure(*explained_with_error(features, targets))


def transfer(
    subject: Subject, latents: Tensor, walks: Walks, order: Tensor, budget: int, steps: int, moved: int, seed: int
) -> Figure:
    """Move latents to other frames, encode them there again, and read the action.

    A reader is fitted to half of the steps. The latents of other steps are decoded onto frames of other walks, the
    decoded transitions are encoded again, and the reader names the action. The control reads the latents of another
    transition.

    Args:
        subject: The subject, which has a decoder.
        latents: Latents of the first steps, (B, ...).
        walks: Pairs of steps.
        order: Order of the rows, (B,), of which the first half is fitted.
        budget: Number of codes, K.
        steps: Number of steps of the decoder.
        moved: Largest number of transitions to move.
        seed: Seed of the noise and of the shuffle.

    Returns:
        The share of the control's errors that is avoided.
    """
    decoder = subject.decoder
    assert decoder is not None
    half = len(walks) // 2
    learned, asked = order[:half], order[half : half + moved]
    classes = int(walks.action[:, 0].max()) + 1
    reader = fit(subject.features(latents, budget)[learned], walks.action[learned, 0], classes)
    device = latents.device
    first, between = (walks.frames[asked, i].to(device) for i in (0, 1))
    other = walks.frames[asked.roll(1), 0].to(device)
    again = there(decoder, first, between, other, budget, steps, seed)[2]
    read = reader(subject.features(again, budget))
    truth = walks.action[asked, 0]
    shuffled = of_other_rows(read, torch.Generator().manual_seed(seed))
    return gained(read == truth, shuffled == truth)


def _flat(found: Mapping[str, Figure]) -> dict[str, float]:
    out = {}
    for name, figure in found.items():
        out[name], out[f"{name}_se"] = figure
    return out


def figures_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the figures that any row has, in the order of `MEASURES`."""
    return [name for name in MEASURES if any(name in row for row in rows)]
