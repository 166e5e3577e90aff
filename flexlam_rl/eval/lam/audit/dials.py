"""Dials: exogenous changes that are drawn into the frames, namely other players, moving textures, and noise on the
overlay.

Each dial takes a strength from 0 (nothing changes) to 1, and changes the two frames of a transition independently of
the action.

Legend: `B` transitions, `C H W` frame.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

OVERLAY = 1 / 8
"""Share of the frame's height, from below, that litelab's overlay takes."""
FIGURES = 3
"""Largest number of other players in a frame."""
TALL, WIDE = 56.0, 30.0
"""Height and width of a player, in world units."""
_NEAR, _FAR = 96.0, 640.0


def overlay_noise(frames: Tensor, depth: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Replace each pixel of the overlay by noise with probability `strength`, in frames (B, 2, C, H, W)."""
    rows = max(1, round(frames.shape[-2] * OVERLAY))
    part = frames[..., -rows:, :]
    noise = torch.randint(0, 256, part.shape, dtype=torch.uint8, generator=generator)
    hit = torch.rand(part[:, :, :1].shape, generator=generator) < strength
    out = frames.clone()
    out[..., -rows:, :] = torch.where(hit, noise, part)
    return out


def moving_textures(frames: Tensor, depth: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blend a coarse pattern over the frames, with a weight of at most one half. It drifts by up to an eighth of the
    frame between the two.
    """
    b, _, c, h, w = frames.shape
    pattern = F.interpolate(torch.rand(b, c, 8, 8, generator=generator), size=(h, w)) * 255
    drift = torch.randint(-(w // 8), w // 8 + 1, (b,), generator=generator)
    columns = (torch.arange(w)[None] - drift[:, None]) % w
    moved = pattern.gather(-1, columns[:, None, None].expand(b, c, h, w))
    share = strength / 2
    return (frames * (1 - share) + torch.stack([pattern, moved], 1) * share).round().to(torch.uint8)


def other_players(frames: Tensor, depth: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Draw up to `FIGURES` players into the frames, each with probability `strength`. They walk between the two frames,
    and nearer objects hide them (for a field of view of 90 degrees, as in litelab).
    """
    b, t, _, h, w = frames.shape
    out = frames.clone()
    x = (torch.arange(w) + 0.5) / w * 2 - 1  # tangent of the angle to the middle
    y = (torch.arange(h) + 0.5) / h * 2 - 1
    for _ in range(FIGURES):
        there = torch.rand(b, generator=generator) < strength
        far = _NEAR + (_FAR - _NEAR) * torch.rand(b, generator=generator)
        side = torch.rand(b, generator=generator) * 1.6 - 0.8
        walk = (torch.rand(b, generator=generator) * 2 - 1) * 60 / far
        colour = torch.randint(0, 256, (b, 3, 1, 1), dtype=torch.uint8, generator=generator)
        for step in range(t):
            place = side + walk * step
            wide = (x[None] - place[:, None]).abs() < WIDE / 2 / far[:, None]
            tall = (y[None] > -TALL / 2 / far[:, None]) & (y[None] < TALL / 2 / far[:, None])
            seen = there[:, None, None] & wide[:, None] & tall[:, :, None] & (depth[:, step] > far[:, None, None])
            out[:, step] = torch.where(seen[:, None], colour, out[:, step])
    return out


DIALS: dict[str, Callable[[Tensor, Tensor, float, torch.Generator], Tensor]] = {
    "players": other_players,
    "textures": moving_textures,
    "overlay": overlay_noise,
}
"""Dials by name: functions of frames uint8 (B, 2, C, H, W), their depth (B, 2, H, W), a strength and a generator, which
return changed frames.
"""


def dialed(name: str, frames: Tensor, depth: Tensor, strength: float, seed: int) -> Tensor:
    """Apply a dial.

    Args:
        name: Name of the dial.
        frames: Frames, uint8 (B, 2, C, H, W).
        depth: Their depth, (B, 2, H, W).
        strength: Strength, 0 to 1.
        seed: Seed of the change.

    Raises:
        ValueError: There is no such dial, or the strength is outside 0..1.
    """
    if name not in DIALS:
        raise ValueError(f"dial is {name!r}; expected one of {', '.join(DIALS)}.")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength!r}; expected a number, 0 to 1.")
    return DIALS[name](frames, depth, strength, torch.Generator().manual_seed(seed))
