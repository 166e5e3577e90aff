"""`python -m eval.lam.prefix_sweep -o sheet.png`: show what growing prefixes carry.

It draws the frame, the true next frame and decodings at K = 0, 1, 4, ... M, for rollouts of any worlds (`--data`), or
for levels of DMLab that the scripted expert plays for a bundle that was trained there.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.options import formerly

LEVELS = ("explore_goal_locations_small", "rooms_watermaze")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Draw decodings of transitions at growing budgets, and measure them."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """PNG file to write; the figures go to a JSON file beside it."""
    checkpoint: str | None = None
    """Folder or hub id of a bundle, or, with --data, the folder of a training run; by default the bundle that comes
    with the package.
    """
    data: tuple[Path, ...] = ()
    """Folders of rollouts whose test splits are shown; by default the expert plays."""
    tasks: tuple[str, ...] | None = field(default=None, metadata=formerly("levels"))
    """Tasks whose transitions are shown; by default all tasks of the rollouts, or explore_goal_locations_small and
    rooms_watermaze.
    """
    count: int = 4
    """Number of transitions that are drawn, per task or folder."""
    measured: int = 64
    """Number of transitions that are measured, per task or folder."""
    steps: int = 8
    """Number of Euler steps of the decoder."""
    seed: int = 0
    """Seed of the episodes and of the decoder's noise."""
    device: str = "cpu"
    """torch device."""


def run(options: Options) -> int:
    """Write the sheet and its figures.

    Raises:
        ValueError: A number or a level is not allowed, or the checkpoint cannot be used.
    """
    from flexlam_rl.models.flexlam.budgets import budgets
    from flexlam_rl.models.flexlam.sheets import grid
    from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit
    from flexlam_rl.utils.files import write_atomically

    for name in ("count", "measured", "steps"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}; at least 1 is needed.")
    if options.out.suffix.lower() != ".png":
        raise ValueError(f"Cannot write {str(options.out)!r}: the file's name must end in .png.")
    lam, shown, record = (_stored if options.data else _played)(options)
    obs, next_obs = (torch.cat([getattr(t, name) for t in shown]).to(options.device) for name in ("obs", "next_obs"))
    codes = lam.encode(obs, next_obs)
    chosen = torch.cat(
        [_spread(len(t.obs), options.count) + sum(len(s.obs) for s in shown[:i]) for i, t in enumerate(shown)]
    )
    target = to_unit(next_obs)
    columns, figures = {"frame": obs[chosen], "next": next_obs[chosen]}, {}
    figures["still"] = float(peak_signal_to_noise(to_unit(obs), target).mean())
    sweep = budgets(lam.config.slots) if lam.config.prefix else [lam.config.slots]
    for k in sweep:
        generator = torch.Generator(options.device).manual_seed(options.seed)
        decoded = lam.decode(obs, codes, k, options.steps, generator)
        columns[f"K = {k}"] = decoded[chosen]
        figures[f"K = {k}"] = float(peak_signal_to_noise(to_unit(decoded), target).mean())
    grid(columns, options.out)
    record |= {"transitions": len(obs), "steps": options.steps, "psnr_db": figures}
    write_atomically(options.out.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    print(
        f"{options.out}: PSNR in dB of {len(obs)} transitions: "
        + ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
    )
    return 0


def _stored(options: Options) -> tuple[Any, list[Any], dict[str, Any]]:
    from flexlam_rl.eval.lam.sides import checkpoint_name, open_sides, pixel_model

    lam = pixel_model(options.checkpoint, options.device)
    sides = open_sides(options.data, [options.tasks] * len(options.data), lam)
    most = max(options.count, options.measured)
    shown = [side.held_out(most, options.seed + i) for i, side in enumerate(sides)]
    return lam, shown, {"checkpoint": checkpoint_name(options.checkpoint), "data": [side.record() for side in sides]}


def _played(options: Options) -> tuple[Any, list[Any], dict[str, Any]]:
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.envs.domains.dmlab.levels import level_named
    from flexlam_rl.eval.lam.transitions import expert_transitions

    levels = [level_named(level).name for level in (LEVELS if options.tasks is None else options.tasks)]
    bundle = load_bundle(options.checkpoint, options.device)
    most, facts = max(options.count, options.measured), bundle.config.environment
    shown = [expert_transitions(facts, level, most, options.seed + i) for i, level in enumerate(levels)]
    return bundle.lam, shown, {"checkpoint": bundle.hash, "levels": levels}


def _spread(total: int, count: int) -> torch.Tensor:
    from flexlam_rl.utils.pictures import evenly

    return torch.tensor(evenly(count, total))


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.lam.prefix_sweep"))
