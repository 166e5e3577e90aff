"""`python -m eval.lam.transfer -o sheet.png`: measure whether a code means the same in another level or another world
(paper, section 6.1).

With `--data`, one or two folders of rollouts are compared, of any worlds with frames of the same size. Without it, the
scripted expert plays two levels of DMLab for a bundle that was trained there. `round_trip.py` describes the
measurement.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor

from flexlam_rl.utils.command_line import run as run_command

LEVELS = ("explore_goal_locations_small", "rooms_watermaze")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Move codes from one level or world to another and back, and measure what is preserved."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """PNG file to write; the figures go to a JSON file beside it."""
    checkpoint: str | None = None
    """Folder or hub id of a bundle, or, with --data, the folder of a training run; by default the bundle that comes
    with the package.
    """
    data: tuple[Path, ...] = ()
    """Folders of rollouts of the source and of the target (one folder if both are tasks of it), whose test splits are
    used; by default the expert plays.
    """
    source: str | None = None
    """Task that the codes come from; by default all tasks of the rollouts, or explore_goal_locations_small."""
    target: str | None = None
    """Task that they are applied to; by default all tasks of the rollouts, or rooms_watermaze."""
    count: int = 64
    """Transitions."""
    read: int = 3000
    """With --data: number of transitions per side and split from which actions are read, if both sides have actions of
    the same names; 0 for none.
    """
    budget: int | None = None
    """Number of codes, K; by default M."""
    steps: int = 8
    """Number of Euler steps of the decoder."""
    seed: int = 0
    """Seed of episodes and noise."""
    device: str = "cpu"
    """torch device."""


def translated(bundle: Any, latents: Tensor, again: Tensor, previous: Tensor, a: Tensor, budget: int) -> dict[str, Any]:
    """Test whether both latents of each transition translate to the same action, (B,), and the same for shuffled
    ones.
    """
    from flexlam_rl.nn.action_head import choose_actions

    lam, translator = bundle.lam, bundle.translator

    def actions(given: Tensor) -> Tensor:
        slots = lam.keep_prefix(given[:, :budget], budget)
        return choose_actions(translator(slots, previous, a), translator.config.actions)

    first, second = actions(latents), actions(again)
    return {
        "same_action": (first == second).all(-1).double(),
        "same_action_shuffled": (first == second.roll(1, 0)).all(-1).double(),
    }


def summary(scores: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Compute the mean of each score, and half the width of its 95% interval over transitions (Student's t)."""
    from flexlam_rl.eval.studies.alignment_report import interval

    return {name: [round(number, 4) for number in interval(values.tolist())] for name, values in scores.items()}


def run(options: Options) -> int:
    """Write the sheet and the figures.

    Raises:
        ValueError: A number, a level or a folder is not allowed, or the checkpoint cannot be used.
    """
    from flexlam_rl.eval.lam.action_reading import readings
    from flexlam_rl.eval.lam.round_trip import code_scores, frame_scores, round_trip
    from flexlam_rl.models.flexlam.sheets import grid
    from flexlam_rl.utils.files import write_atomically

    for name, least in (("count", 2), ("steps", 1), ("read", 0)):
        if getattr(options, name) < least:
            raise ValueError(f"{name} is {getattr(options, name)}; at least {least} is needed.")
    if options.out.suffix.lower() != ".png":
        raise ValueError(f"Cannot write {str(options.out)!r}: the file's name must end in .png.")
    lam, (from_, to), bundle, sides, record = (_stored if options.data else _played)(options)
    budget = _budget(options.budget, lam)
    rows = min(len(from_), len(to))
    a, after, b = (x[:rows] for x in (from_.obs, from_.next_obs, to.obs))
    found = round_trip(lam, a, after, b, budget, options.steps, options.seed)
    frames, codes = frame_scores(found, a, after), code_scores(lam, found, budget)
    gains = {
        f"{one}_over_{other}": frames[one] - frames[other]
        for one, other in (("back", "shuffled"), ("back", "none"), ("own", "own_shuffled"))
    }
    record |= {"transitions": rows, "budget": budget, "steps": options.steps, "seed": options.seed}
    record |= {"psnr_db": summary(frames), "gain_db": summary(gains), "codes": summary(codes)}
    if bundle is not None:
        previous = from_.previous[:rows]
        record["actions"] = summary(translated(bundle, found.latents, found.again, previous, a, budget))
    elif options.read:
        source, target = (_readable(side, options) for side in sides)
        right = readings(lam, source, target, budget, options.steps, options.seed)
        if right is not None:
            names = right.pop("names")
            record["readings"] = {"names": names, "chance": round(1 / len(names), 4), **summary(right)}
    shown = torch.linspace(0, rows - 1, min(8, rows)).round().long()
    columns = {
        "a": a, "a' (true)": after, "a' (own code)": found.own, "b": b, "b' (a's code)": found.moved,
        "a'' (b's code)": found.back, "a, shuffled": found.shuffled,
    }  # fmt: skip
    grid({name: pictures[shown] for name, pictures in columns.items()}, options.out)
    write_atomically(options.out.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    _tell(options.out, record)
    return 0


def _budget(budget: int | None, lam: Any) -> int:
    slots = lam.config.slots
    budget = slots if budget is None else budget
    if not 1 <= budget <= slots or (budget != slots and not lam.config.prefix):
        raise ValueError(f"budget is {budget}; expected 1..{slots}, and {slots} for a Fixed-K model.")
    return budget


def _readable(side: Any, options: Options) -> tuple[Any, Any, tuple[str, ...]]:
    learned = side.learned_from(options.read, options.seed).to(options.device)
    return learned, side.held_out(options.read, options.seed, labelled=True).to(options.device), side.names


def _stored(options: Options) -> tuple[Any, ...]:
    from flexlam_rl.eval.lam.sides import checkpoint_name, open_sides, pixel_model

    if len(options.data) > 2:
        raise ValueError(f"data names {len(options.data)} folders; expected the source's and the target's.")
    if len(options.data) == 1 and None in (options.source, options.target):
        raise ValueError(
            f"data names one folder, {options.data[0]}: expected two, or two of its tasks as --source and --target."
        )
    lam = pixel_model(options.checkpoint, options.device)
    tasks = [None if name is None else (name,) for name in (options.source, options.target)]
    sides = open_sides((options.data * 2)[:2], tasks, lam)
    drawn = [side.held_out(options.count, options.seed + i).to(options.device) for i, side in enumerate(sides)]
    record = {
        "checkpoint": checkpoint_name(options.checkpoint),
        "model": type(lam).__name__,
        "source": sides[0].record(),
        "target": sides[1].record(),
    }
    return lam, drawn, None, sides, record


def _played(options: Options) -> tuple[Any, ...]:
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.envs.domains.dmlab.levels import level_named
    from flexlam_rl.eval.lam.metrics import Transitions
    from flexlam_rl.eval.lam.transitions import expert_transitions

    levels = [
        level_named(given or usual).name for given, usual in zip((options.source, options.target), LEVELS, strict=True)
    ]
    bundle = load_bundle(options.checkpoint, options.device)
    facts = bundle.config.environment
    played = [expert_transitions(facts, level, options.count, options.seed + i) for i, level in enumerate(levels)]
    drawn = [Transitions(t.obs, t.next_obs, t.action, t.previous).to(options.device) for t in played]
    record = {"checkpoint": bundle.hash, "source": levels[0], "target": levels[1]}
    return bundle.lam, drawn, bundle, (), record


def _tell(out: Path, record: Mapping[str, Any]) -> None:
    psnr, gain = record["psnr_db"], record["gain_db"]["back_over_shuffled"]
    print(f"{out}: {record['transitions']} transitions, K = {record['budget']}")
    print(
        f"  there and back {psnr['back'][0]:.2f} dB, shuffled {psnr['shuffled'][0]:.2f} dB "
        f"(difference {gain[0]:+.2f} ± {gain[1]:.2f}), without codes {psnr['none'][0]:.2f} dB, never moved "
        f"{psnr['own'][0]:.2f} dB"
    )
    if "actions" in record:
        actions = record["actions"]
        print(f"  same action {actions['same_action'][0]:.2f}, shuffled {actions['same_action_shuffled'][0]:.2f}")
    if "readings" in record:
        read = record["readings"]
        print(
            f"  of {len(read['names'])} common actions, read right in the source {read['source'][0]:.2f}, after the "
            f"move {read['moved'][0]:.2f} (shuffled {read['moved_shuffled'][0]:.2f}), by the target's own reader "
            f"{read['moved_by_target'][0]:.2f}; of the target's own transitions by the source's reader "
            f"{read['across'][0]:.2f}"
        )


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.lam.transfer"))
