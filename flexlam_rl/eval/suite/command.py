"""`python -m eval.suite` (also `flexlam suite`): play the evaluation suite and print a table of normalised returns.

Every episode has its own seed, drawn from the options' seed, the level and the episode's number, for the world and for
the policy; so results do not depend on how many environments run side by side, and a stopped run continues as if it had
not been stopped.
"""

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flexlam_rl import __version__
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, SUITE, level_named
from flexlam_rl.eval.suite.play import Job, Scene, plan, play_wave, waves
from flexlam_rl.eval.suite.progress import Progress
from flexlam_rl.eval.suite.results import Folder
from flexlam_rl.eval.suite.table import by_column, print_summary, summarise, wide_console
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.number_lists import budget_list, number_list

CPU_CHUNK, CUDA_CHUNK = 32, 64
MANY, PARTS = 64, 4


@dataclass(frozen=True)
class Options:
    """Play the evaluation suite and print a table of normalised returns."""

    budget: str = "16"
    """Codes that a decision of FlexLAM may spend: a number or a list such as 4,16,64."""
    checkpoint: str | None = None
    """Folder or hub id of a bundle; by default the one that comes with the package."""
    policy: str | None = None
    """flexlam, random, expert, previous-action, bc, a name that an installed package registers, or module:factory; by
    default flexlam, or random while no checkpoint comes with the package and none is named.
    """
    levels: tuple[str, ...] = SUITE
    """Levels to play; by default the 11 that the suite scores. `all` stands for all 17."""
    episodes: int = 50
    """Episodes a level."""
    engine: Literal["auto", "litelab", "deepmind_lab"] = "auto"
    """Engine that runs the levels; auto takes the one that the checkpoint was trained in, and for policies that know
    none the real one where it is installed. Scores of different engines are never mixed.
    """
    textures: Literal["procedural", "labmaze"] = "procedural"
    """Look of litelab."""
    any_look: bool = False
    """Play a checkpoint in another engine or look than it was trained in."""
    seed: int = 0
    """Seed of all episodes."""
    greedy: bool = False
    """Always the likeliest codes and actions, instead of the checkpoint's own way."""
    temperature: float | None = None
    """Of FlexLAM's codes, 0 for the likeliest; by default the checkpoint's own."""
    action_temperature: float | None = None
    """Of FlexLAM's actions."""
    context: int | None = None
    """Frames back that FlexLAM sees, at most as many as it was trained with; by default the checkpoint's own. Fewer are
    faster too.
    """
    device: str = "cpu"
    """torch device of the policy."""
    num_envs: int | None = None
    """Environments that play side by side; by default 64 on litelab, one a core on the real engine."""
    chunk: int | None = None
    """Rows that the policy computes together (default 32 on a CPU, 64 on a GPU); results are the same for equal
    chunks.
    """
    cache: Literal["fp32", "bf16"] = "fp32"
    """Type of FlexLAM's cached keys and values; bf16 is faster where the processor has bfloat16 units, and rounds to 3
    digits.
    """
    threads: int | None = None
    """Threads of the policy on a CPU; default: all cores."""
    out: Path | None = None
    """Folder for the results; by default results/suite/ and a name made from the other options. The same command
    continues a stopped run.
    """
    videos: bool = False
    """Write the beginning of the first episode of each level as a video."""
    plots: bool = True
    """Draw the results, where matplotlib is installed."""


def run(options: Options) -> int:
    """Play what is missing, print the table, write the results.

    Raises:
        ValueError: An option is not allowed, or a checkpoint does not fit.
        OSError: The folder cannot be written.
    """
    from flexlam_rl.utils.provenance import revision

    options = _checked(options)
    console = wide_console()
    player = _player(options)
    scene = _scene(options, player)
    budgets = _budgets(options, player)
    identity = describe(options, scene, player)
    out = (
        options.out
        or Path("results") / "suite" / f"{player.name.replace(':', '-').replace('/', '-')}-{_digest(identity)}"
    )
    jobs = plan(options.levels, budgets, options.episodes, options.seed)
    folder = Folder(out, identity)
    try:
        missing = folder.missing(jobs)
        if len(missing) < len(jobs):
            console.print(f"{out} holds {len(jobs) - len(missing)} of {len(jobs)} episodes.", soft_wrap=True)
        if missing:
            folder.begin(options.device, revision())
            _play(missing, scene, player, options, folder, console)
        results(folder, jobs, options, scene, player, console)
    except KeyboardInterrupt:
        done = len(jobs) - len(folder.missing(jobs))
        raise KeyboardInterrupt(_kept(done, len(jobs), out)) from None
    finally:
        folder.close()
    return 0


def _kept(done: int, count: int, out: Path) -> str:
    kept = f"{done} of {count} episodes are kept in {out}, the same command continues"
    return kept if done else f"{kept}; none had ended yet, with a smaller --num-envs fewer are played at a time"


def _checked(options: Options) -> Options:
    from dataclasses import fields, replace

    # NumPy's numbers are no JSON
    plain = {f.name: v.item() for f in fields(options) if isinstance(v := getattr(options, f.name), np.generic)}
    options = replace(options, **plain)
    options = replace(options, budget=str(options.budget), levels=tuple(options.levels))
    for name in ("episodes", "num_envs", "chunk", "threads", "context"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; at least 1 is needed.")
    for name in ("temperature", "action_temperature"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value}; a number from 0 on is needed.")
    if options.seed < 0:
        raise ValueError(f"seed is {options.seed}; a number from 0 on is needed.")
    if not options.levels:
        raise ValueError("levels is empty; name at least one level.")
    levels = tuple(LEVELS) if options.levels == ("all",) else tuple(level_named(level).name for level in options.levels)
    if len(set(levels)) < len(levels):
        raise ValueError(f"levels names a level twice: {', '.join(levels)}.")
    return replace(options, levels=levels)


def _scene(options: Options, player: Player) -> Scene:
    from flexlam_rl.agents.engine_choice import check_look, checkpoint_engine, expert_engine

    if player.learned or player.name == "previous-action":
        engine, line = checkpoint_engine(options.engine, options.checkpoint)
    else:
        expert = "scripted" if player.name == "expert" else player.name
        engine, line = expert_engine(options.engine, expert, "another --policy")
    check_look(engine, options.textures)
    if line:
        print(line)
    return Scene(engine=engine, textures=options.textures if engine == "litelab" else "original")


def _player(options: Options) -> Player:
    name = options.policy
    if name is None:
        from flexlam_rl.checkpoints import BUNDLED, default

        name = "flexlam" if options.checkpoint or default() else "random"
        if name == "random":
            print(
                f"No trained policy comes with this version yet ({BUNDLED.name} is missing): this is the uniformly "
                "random policy."
            )
    player = Player(name)
    player.check_name()
    on_gpu = options.device.startswith("cuda")
    cores = 1 if on_gpu else options.threads or os.cpu_count() or 1
    if player.learned or name == "bc":
        try:
            import torch
        except ModuleNotFoundError:
            raise ImportError(
                "A trained policy needs the package 'torch': install flexlam_rl with its extra `models`."
            ) from None
        if on_gpu and not torch.cuda.is_available():
            raise ValueError(f"device is {options.device!r}, but torch finds no GPU.")
        # chunks are spread over threads instead: results then do not depend on the number of cores
        torch.set_num_threads(1)
    chunk = options.chunk or (CUDA_CHUNK if on_gpu else CPU_CHUNK)
    greedy = True if options.greedy else None
    temperatures = (options.temperature, options.action_temperature)
    return Player(
        name,
        options.checkpoint,
        options.seed,
        options.device,
        greedy,
        chunk,
        cores,
        options.any_look,
        options.cache,
        temperatures,
        options.context,
    )


def _budgets(options: Options, player: Player) -> list[int]:
    """The budgets to play, 0 alone for policies without one."""
    if not player.learned:
        number_list("budget", options.budget, 0)
        return [0]
    slots, prefix = player.bundle.slots, player.bundle.lam.config.prefix
    if options.budget == Options.budget:
        return [min(16, slots) if prefix else slots]
    return budget_list(options.budget, slots, prefix)


def describe(options: Options, scene: Scene, player: Player) -> dict[str, Any]:
    """Who plays and how, as JSON values: what all episodes of a folder share."""
    from flexlam_rl.envs.domains.dmlab.actions import action_set

    who: dict[str, Any] = {"policy": player.name, "greedy": options.greedy}
    if player.learned:
        from flexlam_rl.nn.pretrained import to_json

        bundle = player.bundle
        facts = {
            "name": Path(bundle.source).resolve().name,
            "hash": bundle.hash,
            "slots": bundle.slots,
            "config": to_json(bundle.config),
        }
        who |= {
            "checkpoint": facts,
            "decoding": to_json(player.decoding),
            "chunk": player.chunk,
            "device": options.device.split(":")[0],
            "any_look": options.any_look,
            **({"cache": player.cache} if player.cache != "fp32" else {}),
        }
    elif options.checkpoint:
        who["checkpoint"] = {
            "name": Path(options.checkpoint).resolve().name,
            "hash": _weights_hash(Path(options.checkpoint)),
        }
    place = {**asdict(scene), "action_hash": action_set(scene.action_set).hash}
    return {
        "flexlam_rl": __version__,
        **who,
        "scene": place,
        "seed": options.seed,
        "episode_seeds": "SeedSequence((seed, crc32(level), number))",
    }


def _weights_hash(folder: Path) -> str:
    """SHA-256 of all weights under a folder; "" where there are none."""
    files = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
    hasher = hashlib.sha256()
    for path in files:
        hasher.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return hasher.hexdigest() if files else ""


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _play(jobs: list[Job], scene: Scene, player: Player, options: Options, folder: Folder, console: Any) -> None:
    if scene.engine == "litelab":
        from flexlam_rl.envs.litelab.batch import serve
        from flexlam_rl.envs.litelab.kernel import is_compiled

        if not is_compiled(serve):
            console.print(
                "The first run compiles litelab, which takes a few minutes; later runs start at once.", soft_wrap=True
            )
    videos = folder.path / "videos" if options.videos and not player.blind else None
    ordered = list(waves(jobs, scene, options.num_envs or _side_by_side(len(jobs), scene, player)))
    with Progress(ordered, scene, console, videos) as progress:
        for wave in ordered:
            for played in play_wave(wave, scene, player, progress, folder.shares):
                folder.add(played)
                progress.finished(played.job, played.steps)


def _side_by_side(count: int, scene: Scene, player: Player) -> int:
    """How many environments play at once."""
    if scene.engine != "litelab":
        return os.cpu_count() or 1  # a process for each
    if player.learned:
        return MANY
    # a model is fast in large batches only; others play a small run in parts, so that a stop loses a part of it
    return min(MANY, max(1, -(-count // PARTS)))


def results(folder: Folder, jobs: list[Job], options: Options, scene: Scene, player: Player, console: Any) -> None:
    """Print and write everything about finished `jobs`."""
    played = [folder.played[job.level, job.budget, job.number] for job in jobs]
    name = (
        "FlexLAM"
        if player.learned and player.bundle.lam.config.prefix
        else "Fixed-K"
        if player.learned
        else player.name
    )
    rows = [{"level": p.job.level, "budget": p.job.budget, "return": p.total} for p in played]
    columns = by_column(rows, name)
    summaries = {title: summarise(returns, scene.engine) for title, returns in columns.items()}
    count = f"{options.episodes} episode{'s' if options.episodes > 1 else ''} per level"
    latency = {
        title: float(np.mean([p.milliseconds for p in played if p.job.budget == k]))
        for title, k in _keys(columns, played)
    }
    folder.finish(jobs, summaries, {"milliseconds_a_step_of_the_batch": latency, "seconds": folder.shares})
    print_summary(console, summaries, f"{name} on {scene.engine} ({scene.textures}), {count}, seed {options.seed}")
    for title, value in latency.items():
        console.print(f"{title}: {value:.1f} ms a step of up to {max(p.batch for p in played)} environments.")
    if options.plots:
        from flexlam_rl.eval.suite.plots import draw_suite

        draw_suite(folder.path, summaries, f"{scene.engine} ({scene.textures}), {count}")
    console.print(
        f"Results are in {folder.path}. Returns on {scene.engine} say nothing about another engine.", soft_wrap=True
    )


def _keys(columns: dict[str, Any], played: list[Any]) -> list[tuple[str, int]]:
    budgets = list(dict.fromkeys(p.job.budget for p in played))
    return list(zip(columns, budgets, strict=True))


def main() -> int:
    """Run `python -m eval.suite`."""
    return run_command(Options, run, None, "python -m eval.suite")
