"""`flexlam collect`: write rollouts of experts to a store."""

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from flexlam_rl.commands.common import need_data
from flexlam_rl.envs.domain import find_domain, tasks_named
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, OWN
from flexlam_rl.utils.options import formerly
from flexlam_rl.utils.progress import lasting_bar

# the 16 levels of the paper's data: all except the one that it does not use
PAPER = tuple(name for name in LEVELS if name != "lasertag_three_opponents_small")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Let an expert play tasks, and store what it sees; the same command continues after an interruption."""

    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Folder of the collection: one store per task and split, <out>/<task>/<split>.zarr."""
    steps: int
    """Number of steps per task, rounded up to whole episodes."""
    protocol: Literal["dmlab-40k"] | None = None
    """Published data set to collect anew. It sets the task, the expert, the actions and the frames, which must then not
    be given, and records more. dmlab-40k: TECO's walks of 300 frames, with pose and depth (only on litelab).
    """
    no_npz: bool = False
    """With --protocol dmlab-40k, write only the store, without TECO's npz files (<out>/npz/<task>/<split>/)."""
    tasks: tuple[str, ...] = field(default=("all",), metadata=formerly("level", "levels"))
    """Names of tasks, `all` (for DMLab, the paper's 16) or `suite` (the scored ones; for DMLab, 11)."""
    domain: str = "dmlab"
    """World of the tasks: dmlab, vizdoom, or one of an installed package."""
    expert: str = "scripted"
    """Expert that plays: scripted or reactive (:STEPS limits what it remembers), wanderer (walks through a whole maze),
    pixel:PATH, bundle:PATH@K, latent:PATH, random, learned:PATH or module:factory (whose result has predict).
    """
    split: Literal["train", "test"] = "train"
    """Split to collect; train and test never share an episode seed."""
    seed: int = 0
    """Seed from which the seeds of all episodes are derived."""
    temperature: float = 1.0
    """Noise of scripted, reactive, pixel and learned experts; 0 for none."""
    perturb: float = 0.0
    """Expected share of random steps (0 to 0.9), in bursts of 5 to 20, after which the expert carries on; the store
    marks them, and no policy is trained to do them.
    """
    no_actions: bool = False
    """Store action-free video, without actions and rewards."""
    num_envs: int | None = None
    """Number of environments that play at once; by default 16 per core."""
    engine: str = "auto"
    """Engine that runs the tasks; for DMLab, litelab or deepmind_lab. auto takes litelab for the scripted expert, and
    otherwise the real engine if it is installed.
    """
    executor: Literal["auto", "native", "processes", "ray"] = "auto"
    """Where the tasks run: in a batch in this process (native), in processes, or on a Ray cluster; auto takes processes
    for the real DMLab, else native.
    """
    workers: int | None = None
    """Number of processes or Ray tasks at a time; by default one per core."""
    ray_address: str | None = None
    """Address of a Ray cluster; by default one is started on this machine."""
    action_set: str | None = None
    """Action set; by default the domain's own. DMLab has dreamer15 (its default), impala9, teco3 and native7."""
    frame_skip: int | None = None
    """Number of simulator frames per step; by default the domain's own, for DMLab 4 (of 60 per second)."""
    width: int | None = None
    """Width of the frames in pixels, a multiple of 4 for DMLab; by default 64."""
    height: int | None = None
    """Height of the frames in pixels, a multiple of 4 for DMLab; by default 64."""
    hud: str | None = None
    """How much of the 2-D overlay is drawn; for DMLab, full (the default), reduced or none."""
    textures: str | None = None
    """Look of the world; for litelab, procedural (the default) or labmaze, which are DMLab's own textures from that
    package.
    """
    codec: Literal["zstd", "lz4hc", "none"] = "zstd"
    """Compression of the frames of new stores."""


def levels_named(names: tuple[str, ...], domain: str = "dmlab") -> list[str]:
    """Return the tasks that `all` (for DMLab, the paper's 16), `suite` or names stand for, each once.

    Raises:
        ValueError: There is no task of a name.
    """
    return tasks_named(find_domain(domain), names, PAPER if domain == "dmlab" else ())


def _by_protocol(options: Options, protocol: Any) -> Options:
    """Set the options that a protocol determines.

    Raises:
        ValueError: An option has another value, or the engine does not have the task.
    """
    fixed = {"domain": "dmlab", "tasks": (protocol.task,), "expert": protocol.expert, **protocol.options}
    for name, value in fixed.items():
        given, usual = getattr(options, name), Options.__dataclass_fields__[name].default
        if given not in (value, usual):
            raise ValueError(f"{name} is {given!r}; --protocol {options.protocol} sets it to {value!r}: leave it out.")
    if options.engine == "deepmind_lab" and protocol.task in OWN:
        raise ValueError(
            f"--protocol {options.protocol} plays {protocol.task}, a level of litelab, which deepmind_lab does not "
            "have: use --engine litelab."
        )
    return replace(options, **fixed)


def run(options: Options) -> int:
    """Collect, with one bar per run and one line per task."""
    need_data()
    from flexlam_rl.agents.collection.protocols import PROTOCOLS

    protocol = None if options.protocol is None else PROTOCOLS[options.protocol]
    if protocol is not None:
        options = _by_protocol(options, protocol)
    levels = levels_named(options.tasks, options.domain)
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    from flexlam_rl.agents.collection.collect import Done, Job, collect
    from flexlam_rl.agents.collection.schedule import Settings
    from flexlam_rl.agents.engine_choice import player_spec

    fields = {name: getattr(options, name) for name in ("engine", "action_set", "frame_skip", "width", "height")}
    look = {"hud": options.hud, "textures": options.textures}
    spec, line = player_spec(options.domain, options.expert, "another --expert", look=look, **fields)
    if line:
        print(line, file=sys.stderr)
    settings = Settings(options.expert, options.temperature, options.seed, spec, options.perturb)
    if protocol is not None:
        settings = replace(settings, further=protocol.further, last=protocol.last)
    alone = spec.engine == "deepmind_lab"
    executor = options.executor if options.executor != "auto" else "processes" if alone else "native"
    job = Job(
        levels,
        options.split,
        options.steps,
        options.out,
        not options.no_actions,
        executor,
        options.num_envs,
        options.workers,
        options.ray_address,
        (("codec", options.codec),),
    )
    console = Console(stderr=True)
    begun = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(levels[0], total=len(levels) * options.steps)

        def on_level(done: Done) -> None:
            speed = f", {done.new_steps / done.seconds:,.0f} steps/s" if done.new_steps else ""
            progress.print(
                f"{done.level}: {done.episodes} episodes, {done.steps} steps ({done.new_steps} new{speed})",
                soft_wrap=True,
            )
            progress.update(task, completed=(levels.index(done.level) + 1) * options.steps)

        try:
            results = collect(
                settings, job, lambda level, count: progress.update(task, advance=count, description=level), on_level
            )
        except KeyboardInterrupt:
            progress.stop()
            told = "every episode that had ended is stored; the same command continues"
            raise KeyboardInterrupt(told) from None
    new = sum(done.new_steps for done in results)
    seconds = time.monotonic() - begun
    total = sum(done.steps for done in results)
    what = "levels" if options.domain == "dmlab" else "tasks"
    print(
        f"{options.out}: {len(levels)} {what}, {total} steps, {new} new in {seconds:.1f} s ({new / seconds:,.0f} "
        "steps/s)."
    )
    if protocol is not None and not options.no_npz:
        _export(options)
    return 0


def _export(options: Options) -> None:
    """Write TECO's npz files of the store that was collected."""
    from flexlam_rl.datasets.formats.teco import export_teco
    from flexlam_rl.datasets.store import RolloutStore, find_stores

    for path in find_stores(options.out, options.tasks, options.split):
        store = RolloutStore(path)
        folder = options.out / "npz" / store.level / store.split
        with lasting_bar(f"{store.level}/{store.split} as npz") as progress:
            files = export_teco(store, folder, progress)
        print(f"{folder}: {len(files)} files.")
