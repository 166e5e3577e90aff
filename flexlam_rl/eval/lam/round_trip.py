"""Round trips of latent actions: to a frame of elsewhere and back (paper, section 6.1).

The code of a transition (a, a') is applied to a frame b of another world, giving b'. From (b, b') a code is extracted
again and applied back to a, giving a''. If codes carry what happened and not the picture, a'' is a'. The controls apply
back the codes of other transitions (shuffled), and none at all (K = 0). Shapes: B transitions, C H W frame, M slots, d
numbers per slot, K budget. *Latents* are codes, int64 (B, M), or vectors (B, M, d).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit

_CHUNK = 128


@dataclass(frozen=True)
class RoundTrip:
    """What a round trip gives, a row per transition.

    Attributes:
        moved: b', uint8 (B, C, H, W).
        own, own_shuffled: a' decoded from a with its own latents, never moved, and with another transition's.
        back, shuffled, none: a'' and its controls.
        latents, again: Of (a, a') and of (b, b').
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
    """Go one way: latents of (a, after), the frames b' that their first `budget` give on b, and latents of (b, b').

    Args:
        lam: The model.
        a, after: uint8 (B, C, H, W), frames before and after.
        b: uint8 (B, C, H, W), frames of another world.
        budget: K.
        steps: Of the decoder.
        seed: Of the noise, the same for each chunk of rows.
    """
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for rows in _chunks(len(a)):
        latents = lam.encode(a[rows], after[rows])
        moved = _decode(lam, b[rows], latents, budget, steps, seed)
        parts.append((latents, moved, lam.encode(b[rows], moved)))
    return [torch.cat(part) for part in zip(*parts, strict=True)]


@torch.no_grad()
def round_trip(lam: PixelModel, a: Tensor, after: Tensor, b: Tensor, budget: int, steps: int, seed: int) -> RoundTrip:
    """Go there and back, with the controls; see `there` for the arguments."""
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
    """PSNR in dB (B,) against a' of everything that was decoded onto a, and of a itself ("still")."""
    target = to_unit(after)
    decoded = {name: getattr(found, name) for name in ("own", "own_shuffled", "back", "shuffled", "none")}
    return {
        name: peak_signal_to_noise(to_unit(frames), target).double()
        for name, frames in (decoded | {"still": a}).items()
    }


def code_scores(lam: PixelModel, found: RoundTrip, budget: int) -> dict[str, Tensor]:
    """How alike the latents of (a, a') and (b, b') are, (B,): distance of the first K slots' vectors, and where there
    are codes the share of equal ones and whether the first is; each also beside another transition's ("_shuffled").
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
