"""`flexlam expert score|train|join|plot`: measure and train experts."""

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.envs.domains.dmlab.levels import level_named


@dataclass(frozen=True, kw_only=True)
class Score:
    """Measure the random policy and an expert on tasks, with fixed evaluation seeds; print the table, and with --out
    write it.
    """

    tasks: Annotated[tuple[str, ...], tyro.conf.arg(aliases=("--levels",))] = ()
    """Names of tasks, `all` (for DMLab, the paper's 16) or `suite`; by default every task (for DMLab, 17)."""
    domain: str = "dmlab"
    """World of the tasks: dmlab, vizdoom, or one of an installed package."""
    episodes: int = 100
    """Number of episodes per task and policy."""
    expert: str = "scripted"
    """Expert to measure: scripted or reactive (:STEPS limits what it remembers), pixel:PATH, bundle:PATH@K,
    latent:PATH, random, learned:PATH or module:factory.
    """
    beside: tuple[str, ...] = ()
    """Further experts to measure, such as reactive or pixel:PATH, which the table holds under their names."""
    temperature: float = 1.0
    """Temperature of the experts."""
    seed: int = 0
    """Seed of the policies' randomness; the episodes' seeds are fixed."""
    engine: str = "auto"
    """Engine that runs the tasks; for DMLab, litelab or deepmind_lab. auto takes litelab for the scripted expert, and
    otherwise the real engine if it is installed.
    """
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """JSON file to write; its tasks of the same measurement that are not measured now are kept."""


@dataclass(frozen=True, kw_only=True)
class Train(Recipe):
    """Train a pixel expert by recurrent PPO, kickstarted by a scripted teacher if the domain has one; the same command
    resumes.
    """

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Folder for the state, the figures and the best policy (<out>/best)."""


@dataclass(frozen=True, kw_only=True)
class Join:
    """Put policies of some tasks beside a pixel expert of all tasks; `--expert pixel:OUT` plays each task with the
    policy that was trained on the fewest tasks, this one among them.
    """

    expert: tyro.conf.Positional[Path]
    """Folder of the pixel expert; specialists that it has already stay."""
    specialists: tuple[Path, ...]
    """Folders of pixel experts of some of its tasks."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """New folder."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Draw the learning curves of a training run in percent of the scripted expert's return, minus random."""

    run: tyro.conf.Positional[Path]
    """Folder that `flexlam expert train --out` named; the run may still be in progress."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """PNG file to write."""


@dataclass(frozen=True)
class Options:
    """Measure and train experts."""

    do: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Score, tyro.conf.subcommand("score")]
        | Annotated[Train, tyro.conf.subcommand("train")]
        | Annotated[Join, tyro.conf.subcommand("join")]
        | Annotated[Plot, tyro.conf.subcommand("plot")]
    ]


def run(options: Options) -> int:
    """Run the subcommand."""
    if isinstance(options.do, Plot):
        return _plot(options.do)
    if isinstance(options.do, Join):
        return _join(options.do)
    return _score(options.do) if isinstance(options.do, Score) else _train(options.do)


def _plot(options: Plot) -> int:
    from flexlam_rl.agents.experts.pixel.curve import draw_curve

    if options.out.suffix != ".png":
        raise ValueError(f"Cannot write {options.out}: expected a file that ends in .png.")
    draw_curve(options.run, options.out)
    print(options.out)
    return 0


def _join(options: Join) -> int:
    from flexlam_rl.agents.experts.pixel.specialists import join

    for line in join(options.expert, options.specialists, options.out):
        print(line)
    print(f"Play it with --expert pixel:{options.out}.")
    return 0


def _score(options: Score) -> int:
    from rich.console import Console
    from rich.table import Table

    from flexlam_rl.agents.collection.schedule import Settings
    from flexlam_rl.agents.engine_choice import player_spec
    from flexlam_rl.agents.experts.scores import score_table
    from flexlam_rl.commands.collect import levels_named
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.utils.files import write_json

    if options.episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {options.episodes}.")
    every = tuple(task.name for task in find_domain(options.domain).tasks())
    levels = levels_named(options.tasks or every, options.domain)
    spec, line = player_spec(options.domain, options.expert, "another --expert", options.engine)
    if line:
        print(line, file=sys.stderr)
    engine = spec.engine
    settings = Settings(options.expert, options.temperature, options.seed, spec)
    chosen = "" if options.tasks in ((), every) else f" --tasks {' '.join(options.tasks)}"
    world = "" if options.domain == "dmlab" else f" --domain {options.domain}"
    command = (
        f"flexlam expert score{world} --expert {options.expert} --episodes {options.episodes} --temperature "
        f"{options.temperature:g} --seed {options.seed}"
    )
    console = Console(stderr=True)
    table = score_table(
        levels,
        settings,
        options.episodes,
        f"{command}{f' --beside {chr(32).join(options.beside)}' if options.beside else ''} --engine {engine}{chosen}",
        lambda score: console.print(
            f"{score.level} {score.expert}: {score.mean:.2f} ± {score.standard_error:.2f}", highlight=False
        ),
        options.beside,
    )
    if options.out is not None:
        write_json(options.out, _merged(options.out, table, every))
    shown = Table(
        "level" if options.domain == "dmlab" else "task",
        "random",
        "expert",
        "± SE",
        *(("real: paper's expert", "real: human", "real: random") if engine == "litelab" else ()),
        box=None,
    )
    for level, rows in table["levels"].items():
        error = rows["expert"]["standard_error"]
        cells = [
            f"{rows['random']['mean']:.2f}",
            f"{rows['expert']['mean']:.2f}",
            "-" if error is None else f"{error:.2f}",
        ]
        if engine == "litelab":
            real = level_named(level)
            cells += ["-" if real.expert is None else f"{real.expert:.2f}", f"{real.human:.2f}", f"{real.random:.2f}"]
        shown.add_row(level, *cells)
    Console(width=160).print(shown)
    return 0


def _merged(path: Path, table: dict[str, Any], every: tuple[str, ...]) -> dict[str, Any]:
    """Add to the new table those rows of an older file of the same measurement that were not measured now, in the order
    of `every` task.
    """
    if not path.exists():
        return table
    old = json.loads(path.read_text(encoding="utf-8"))
    same = (
        "schema",
        "version",
        "engine",
        "engine_version",
        "revision",
        "textures",
        "action_set",
        "frame_skip",
        "temperature",
        "seed",
    )
    if any(old.get(name) != table[name] for name in same) or old.get("domain") != table.get("domain"):
        return table
    rows = {**old["levels"], **table["levels"]}
    order = [name for name in every if name in rows]
    return {**table, "levels": {name: rows[name] for name in order}}


def _train(options: Train) -> int:
    from flexlam_rl.agents.engine_choice import player_spec
    from flexlam_rl.agents.experts.pixel.training import train
    from flexlam_rl.agents.experts.pixel.world import DomainWorld
    from flexlam_rl.commands.collect import levels_named
    from flexlam_rl.nn.places import usable_device

    values = {field.name: getattr(options, field.name) for field in fields(Recipe)}
    tasks = tuple(levels_named(options.tasks, options.domain))
    recipe = Recipe(**values | {"tasks": tasks, "device": str(options.device)})
    usable_device(recipe.device)
    if recipe.domain != "dmlab" and recipe.teacher != "none":
        player_spec(recipe.domain, recipe.teacher, "--teacher none")  # refuses a teacher that cannot read its worlds
    best = train(
        recipe, DomainWorld(recipe.seed, recipe.domain), options.out, report=lambda text: print(text, flush=True)
    )
    print(f"Best policy: {best}; play it with --expert pixel:{best}.")
    return 0
