"""Round trips of latent actions: to a frame of another world and back (paper, section 6.1).

The code of a transition (a, a') is applied to a frame b of another world, which gives b'. From (b, b'), a code is
extracted again and applied to a, which gives a''. If codes carry what happened and not the frame, a'' equals a'. The
controls apply the codes of other transitions to a (shuffled), or none at all (K = 0).

Shapes: B transitions, C H W frame, M slots, d numbers per slot, K budget. *Latents* are codes, int64 (B, M), or vectors
(B, M, d).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit

_CHUNK = 128


@dataclass(frozen=True)
class RoundTrip:
    """Result of a round trip, with one row per transition.

    Attributes:
        moved: b', uint8 (B, C, H, W).
        own, own_shuffled: a' as decoded from a with the transition's own latents, which were not moved, and with those
            of another transition.
        back, shuffled, none: a'' and its controls.
        latents, again: Latents of (a, a') and of (b, b').
    """

    moved: Tensor
    own: Tensor
    own_shuffled: Tensor
    back: Tensor
    shuffled: Tensor
    none: Tensor
    latents: Tensor
    again: Tensor


@torch.no_grad()
def there(lam: PixelModel, a: Tensor, after: Tensor, b: Tensor, budget: int, steps: int, seed: int) -> list[Tensor]:
    """Move latents to the other world.

    Args:
        lam: The model.
        a, after: Frames before and after, uint8 (B, C, H, W).
        b: Frames of another world, uint8 (B, C, H, W).
        budget: Number of codes, K.
        steps: Number of steps of the decoder.
        seed: Seed of the noise, which is the same for each chunk of rows.

    Returns:
        The latents of (a, after); the frames b' that their first `budget` give on b; and the latents of (b, b').
    """
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for rows in _chunks(len(a)):
        latents = lam.encode(a[rows], after[rows])
        moved = _decode(lam, b[rows], latents, budget, steps, seed)
        parts.append((latents, moved, lam.encode(b[rows], moved)))
    return [torch.cat(part) for part in zip(*parts, strict=True)]


@torch.no_grad()
def round_trip(lam: PixelModel, a: Tensor, after: Tensor, b: Tensor, budget: int, steps: int, seed: int) -> RoundTrip:
    """Move latents to the other world and back, with the controls; the arguments are those of `there`."""
    latents, moved, again = there(lam, a, after, b, budget, steps, seed)

    def onto_a(given: Tensor, k: int) -> Tensor:
        return torch.cat([_decode(lam, a[rows], given[rows], k, steps, seed) for rows in _chunks(len(a))])

    return RoundTrip(
        moved=moved,
        own=onto_a(latents, budget),
        own_shuffled=onto_a(latents.roll(1, 0), budget),
        back=onto_a(again, budget),
        shuffled=onto_a(again.roll(1, 0), budget),
        none=onto_a(again, 0) if lam.config.prefix else a,
        latents=latents,
        again=again,
    )


def frame_scores(found: RoundTrip, a: Tensor, after: Tensor) -> dict[str, Tensor]:
    """Compute the PSNR in dB against a', (B,), of everything that was decoded onto a, and of a itself ("still")."""
    target = to_unit(after)
    decoded = {name: getattr(found, name) for name in ("own", "own_shuffled", "back", "shuffled", "none")}
    return {
        name: peak_signal_to_noise(to_unit(frames), target).double()
        for name, frames in (decoded | {"still": a}).items()
    }


def code_scores(lam: PixelModel, found: RoundTrip, budget: int) -> dict[str, Tensor]:
    """Compare the latents of (a, a') and (b, b'), (B,) each.

    The figures are the distance of the first K slots' vectors and, for codes, the share of equal ones and whether the
    first ones are equal; each of them also against another transition's latents ("_shuffled").
    """
    scores = {}
    for name, other in (("", found.again), ("_shuffled", found.again.roll(1, 0))):
        one, two = (lam.embed(latents[:, :budget]).double() for latents in (found.latents, other))
        scores[f"distance{name}"] = (one - two).square().mean((1, 2)).sqrt()
        if lam.latent.codes is not None:
            equal = (found.latents == other)[:, :budget].double()
            scores[f"same_code{name}"], scores[f"same_first_code{name}"] = equal.mean(1), equal[:, 0]
    return scores


def _decode(lam: PixelModel, frames: Tensor, latents: Tensor, budget: int, steps: int, seed: int) -> Tensor:
    return lam.decode(frames, latents, budget, steps, torch.Generator(frames.device).manual_seed(seed))


def _chunks(rows: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, rows, _CHUNK)]
