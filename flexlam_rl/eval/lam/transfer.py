"""`python -m eval.lam.transfer -o sheet.png`: does a code mean the same in another level? (paper, section 7's transfer
test)

The code of a transition (a, a') of one level is applied to a frame b of another, giving b'. From (b, b') a code is
extracted again and applied back to a, giving a''. If codes carry the action and not the picture, a'' is a'. The
controls apply back the codes of other transitions of the same level (shuffled), and none at all (K = 0).
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor

from flexlam_rl.utils.command_line import run as run_command


@dataclass(frozen=True, kw_only=True)
class Options:
    """Move codes from one level to another and back, and measure what is left."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """PNG file to write; the figures go to a JSON file beside it."""
    checkpoint: str | None = None
    """Folder or hub id of a bundle; by default the one that comes with the package."""
    source: str = "explore_goal_locations_small"
    """Level that the codes come from."""
    target: str = "rooms_watermaze"
    """Level that they are applied to."""
    count: int = 64
    """Transitions."""
    budget: int | None = None
    """K; by default M."""
    steps: int = 8
    """Euler steps of the decoder."""
    seed: int = 0
    """Of episodes and noise."""
    device: str = "cpu"
    """torch device."""


def transfer(lam: Any, a: Tensor, after: Tensor, b: Tensor, budget: int, steps: int, seed: int) -> dict[str, Tensor]:
    """Apply the codes of (a, after) to b, extract them again, apply them back to a.

    Args:
        lam: The latent action model.
        a, after: uint8 (B, C, H, W), consecutive frames of one level.
        b: uint8 (B, C, H, W), frames of another.
        budget: K.
        steps: Euler steps.
        seed: Of the noise, the same for all decodings.

    Returns:
        Frames uint8 (B, C, H, W): "moved" b', "back" a'', and the controls "shuffled" and "none"; codes int64 (B, M):
        "codes", "again".
    """

    def decode(frames: Tensor, codes: Tensor, k: int) -> Tensor:
        return lam.decode(frames, codes, k, steps, torch.Generator(frames.device).manual_seed(seed))

    codes = lam.encode(a, after)
    moved = decode(b, codes, budget)
    again = lam.encode(b, moved)
    return {
        "moved": moved,
        "back": decode(a, again, budget),
        "shuffled": decode(a, again.roll(1, 0), budget),
        "none": decode(a, again, 0) if lam.config.prefix else a,
        "codes": codes,
        "again": again,
    }


def scores(
    bundle: Any, found: dict[str, Tensor], a: Tensor, after: Tensor, previous: Tensor, budget: int
) -> dict[str, float]:
    """What is left: PSNR (dB) of a'' and of the controls against the true a', and how often both codes translate to one
    action.
    """
    from flexlam_rl.nn.action_head import choose_actions
    from flexlam_rl.nn.frames import peak_signal_to_noise

    target = after.float() / 127.5 - 1
    out = {
        f"psnr_{name}": float(peak_signal_to_noise(found[name].float() / 127.5 - 1, target).mean())
        for name in ("back", "shuffled", "none")
    }
    lam, translator = bundle.lam, bundle.translator

    def actions(codes: Tensor) -> Tensor:
        return choose_actions(
            translator(lam.keep_prefix(codes[:, :budget], budget), previous, a), translator.config.actions
        )

    first, again = actions(found["codes"]), actions(found["again"])
    out["same_action"] = float((first == again).all(-1).float().mean())
    out["same_action_shuffled"] = float((first == again.roll(1, 0)).all(-1).float().mean())
    out["same_first_code"] = float((found["codes"][:, 0] == found["again"][:, 0]).float().mean())
    out["same_first_code_shuffled"] = float((found["codes"][:, 0] == found["again"][:, 0].roll(1, 0)).float().mean())
    return out


def run(options: Options) -> int:
    """Write the sheet and the figures.

    Raises:
        ValueError: A number or a level is not allowed, or the checkpoint cannot be used.
    """
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.envs.domains.dmlab.levels import level_named
    from flexlam_rl.eval.lam.transitions import expert_transitions
    from flexlam_rl.models.flexlam.sheets import grid
    from flexlam_rl.utils.files import write_atomically

    for name, least in (("count", 2), ("steps", 1)):
        if getattr(options, name) < least:
            raise ValueError(f"{name} is {getattr(options, name)}; at least {least} is needed.")
    if options.out.suffix.lower() != ".png":
        raise ValueError(f"Cannot write {str(options.out)!r}: the file's name must end in .png.")
    source, target = level_named(options.source).name, level_named(options.target).name
    bundle = load_bundle(options.checkpoint, options.device)
    slots = bundle.slots
    budget = slots if options.budget is None else options.budget
    if not 1 <= budget <= slots or (budget != slots and not bundle.lam.config.prefix):
        raise ValueError(f"budget is {budget}; expected 1..{slots}, and {slots} for a Fixed-K model.")
    facts = bundle.config.environment
    from_, to = (
        expert_transitions(facts, level, options.count, options.seed + i) for i, level in enumerate((source, target))
    )
    rows = min(len(from_.obs), len(to.obs))
    a, after, b, previous = (x[:rows].to(options.device) for x in (from_.obs, from_.next_obs, to.obs, from_.previous))
    found = transfer(bundle.lam, a, after, b, budget, options.steps, options.seed)
    figures = scores(bundle, found, a, after, previous, budget)
    shown = torch.linspace(0, rows - 1, min(8, rows)).round().long()
    columns = {
        "a": a,
        "a' (true)": after,
        "b": b,
        "b' (a's code)": found["moved"],
        "a'' (b's code)": found["back"],
        "a, shuffled": found["shuffled"],
    }
    grid({name: frames[shown] for name, frames in columns.items()}, options.out)
    record = {
        "checkpoint": bundle.hash,
        "source": source,
        "target": target,
        "transitions": rows,
        "budget": budget,
        "steps": options.steps,
        **figures,
    }
    write_atomically(options.out.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    print(f"{options.out}: {rows} transitions, K = {budget}")
    print(
        f"  there and back {figures['psnr_back']:.2f} dB, shuffled {figures['psnr_shuffled']:.2f} dB, without codes "
        f"{figures['psnr_none']:.2f} dB"
    )
    print(f"  same action {figures['same_action']:.2f}, shuffled {figures['same_action_shuffled']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.lam.transfer"))
