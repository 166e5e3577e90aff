"""`flexlam finetune`: improve a trained policy by reward, or train its rivals."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from flexlam_rl.agents.finetune.plan import FinetunePlan


@dataclass(frozen=True, kw_only=True)
class Options(FinetunePlan):
    """Improve a bundle's prior by reward (PPO), or train one of its rivals on the same frames and rewards; the same
    command resumes.
    """

    bundle: tyro.conf.Positional[str | None] = None
    """Folder or hub id of a bundle; by default the one that comes with the package."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Folder for the state, the figures and the best policy (<out>/best)."""
    dry_run: bool = False
    """Play and learn for a short time, print the hours that the training will take, and write nothing."""


def run(options: Options) -> int:
    """Run the command."""
    from dataclasses import fields, replace

    from flexlam_rl.agents.experts.pixel.running import drive
    from flexlam_rl.agents.finetune.plan import make_run, speed
    from flexlam_rl.commands.collect import levels_named
    from flexlam_rl.nn.modes import neutral_modes
    from flexlam_rl.nn.places import usable_device

    values: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(FinetunePlan)}
    plan = replace(FinetunePlan(**values), tasks=tuple(levels_named(options.tasks, options.domain)))
    usable_device(plan.device)
    with neutral_modes():
        training = make_run(plan, options.bundle, options.out)
        if options.dry_run:
            print(speed(training))
            return 0
        best = drive(training, lambda text: print(text, flush=True))
    kind = {"prior": "bundle", "latent-space": "latent"}.get(plan.what, "pixel")
    mark = f"@{plan.budget}" if kind == "bundle" else ""
    print(f"Best policy: {best}; play it with --expert {kind}:{best}{mark}, or in the suite with --policy.")
    return 0
