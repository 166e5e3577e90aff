"""`python -m eval.suite` (also `flexlam suite`): play the evaluation suite and print a table of normalised returns.

Every episode has its own seed for the world and for the policy, derived from the option `seed`, the level and the
episode's number. Results therefore do not depend on how many environments run at once, and a stopped run continues as
if it had not been stopped.
"""

import hashlib
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl import __version__
from flexlam_rl.agents.environments import at_once, compile_first
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.agents.watchers import TimeShares
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite.batches import Job, all_jobs, in_batches
from flexlam_rl.eval.suite.diagnostics import adviser_for, print_behaviour, shares
from flexlam_rl.eval.suite.options import Options, checked
from flexlam_rl.eval.suite.playing import play_batch
from flexlam_rl.eval.suite.progress import Progress
from flexlam_rl.eval.suite.results import Folder
from flexlam_rl.eval.suite.rows import Rows
from flexlam_rl.eval.suite.running import Running
from flexlam_rl.eval.suite.table import (
    by_column,
    engine_and_look,
    interval,
    of_video,
    print_summary,
    summarise,
    wide_console,
)
from flexlam_rl.train.stopping import stopping
from flexlam_rl.utils.budget_words import AutoBudget, any_budgets, budget_in_words
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.number_lists import number_list

CPU_CHUNK, CUDA_CHUNK = 32, 64
MANY, PARTS = 64, 4


def run(options: Options) -> int:
    """Play the missing episodes, print the table, and write the results.

    Raises:
        ValueError: An option is not allowed, or a checkpoint does not fit.
        OSError: The folder cannot be written.
    """
    from flexlam_rl.utils.provenance import revision

    options = checked(options)
    console = wide_console()
    player = _player(options)
    spec = _spec(options, player)
    budgets = _budgets(options, player)
    adviser_for(options.adviser, spec, player)  # refuses an unknown adviser before anything is written
    identity = describe(options, spec, player)
    out = (
        options.out
        or Path("results") / "suite" / f"{player.name.replace(':', '-').replace('/', '-')}-{_digest(identity)}"
    )
    jobs = all_jobs(options.tasks, budgets, options.episodes, options.seed)
    folder, running = Folder(out, identity), None
    try:
        missing = folder.missing(jobs)
        if len(missing) < len(jobs):
            console.print(f"{out} holds {len(jobs) - len(missing)} of {len(jobs)} episodes.", soft_wrap=True)
        if missing:
            folder.begin(options.device, revision())
            with stopping() as stop:
                running = Running(out, identity, stop, lambda text: console.print(text, soft_wrap=True))
                _play(jobs, spec, player, options, folder, console, running)
        results(folder, jobs, options, spec, player, console)
    except KeyboardInterrupt:
        done = len(jobs) - len(folder.missing(jobs))
        kept = None if running is None else running.kept
        raise KeyboardInterrupt(_kept(done, len(jobs), out, kept)) from None
    finally:
        folder.close()
    return 0


def _kept(done: int, count: int, out: Path, playing: tuple[int, int] | None) -> str:
    kept = f"{done} of {count} episodes are stored in {out}"
    if playing is not None:
        kept += f", and {playing[0]} that were being played, at step {playing[1]}"
    kept += ", the same command continues"
    if done or playing is not None:
        return kept
    return f"{kept}; none had ended yet, with a smaller --num-envs fewer are played at a time"


def _spec(options: Options, player: Player) -> EnvSpec:
    """Make the record of the tasks: how they are shown and controlled."""
    from flexlam_rl.agents.engine_choice import check_look, checkpoint_engine, player_spec

    domain = find_domain(options.domain)
    # a control policy that sees nothing plays with the frame skip and frame size of the named bundle
    if player.learned or (options.checkpoint and player.blind and options.domain != "dmlab"):
        trained = player.bundle.config.environment.spec
        if trained.domain != options.domain:
            raise ValueError(
                f"The policy was trained in the domain {trained.domain!r}, and the suite plays {options.domain!r}: "
                f"use --domain {trained.domain}, or another checkpoint."
            )
        if options.domain != "dmlab":
            return domain.resolve(trained if options.engine == "auto" else replace(trained, engine=options.engine))
    if options.domain == "dmlab" and (player.learned or player.name == "previous-action"):
        engine, line = checkpoint_engine(options.engine, options.checkpoint)
        check_look(engine, options.textures or "procedural")
        look = (options.textures or "procedural") if engine == "litelab" else "original"
        spec = domain.resolve(EnvSpec(engine=engine).with_look(textures=look))
    else:
        expert = "scripted" if player.name == "expert" else player.name
        look_of = {"textures": options.textures}
        spec, line = player_spec(options.domain, expert, "another --policy", options.engine, look_of)
    if line:
        print(line)
    return spec


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
    _refuse_what_counts_for_nothing(options, player)
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
        # chunks are spread over threads instead, so that results do not depend on the number of cores
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
        options.history,
    )


def _refuse_what_counts_for_nothing(options: Options, player: Player) -> None:
    """Refuse options that have no effect on this policy.

    Raises:
        ValueError: An option has no effect.
    """
    own = () if player.name == "flexlam" else ("temperature", "context", "history")
    neither = () if player.name == "flexlam" or player.expert else ("action_temperature",)
    for name in (*own, *neither):
        if getattr(options, name) is not None:
            raise ValueError(f"{name} is {getattr(options, name)}; the policy {player.name!r} has none.")


def _budgets(options: Options, player: Player) -> list[int | str]:
    """Return the budgets to play; only 0 for policies without one."""
    if not player.learned:
        number_list("budget", options.budget, 0)
        return [0]
    slots, prefix = player.bundle.slots, player.bundle.lam.config.prefix
    if options.budget == Options.budget:
        return [min(16, slots) if prefix else slots]
    budgets = any_budgets(options.budget, slots, prefix)
    for budget in budgets:
        if isinstance(budget, str):
            _check_words(budget, player)
    return budgets


def _check_words(budget: str, player: Player) -> None:
    """Refuse a budget in words that this policy cannot play with.

    Raises:
        ValueError: The policy cannot play with it.
    """
    from flexlam_rl.models.flexlam.adaptive.rules import rule_of

    if player.name != "flexlam":
        raise ValueError(f"budget is '{budget}'; the policy {player.name!r} takes numbers only.")
    asked = budget_in_words(budget)
    if isinstance(asked, AutoBudget):
        rule_of(asked, player.bundle.budget, player.bundle.sequence)


def describe(options: Options, spec: EnvSpec, player: Player) -> dict[str, Any]:
    """Describe the policy and its options, which all episodes of a folder share, as JSON values."""
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
    if player.expert and options.action_temperature is not None:
        who["action_temperature"] = options.action_temperature
    return {
        "flexlam_rl": __version__,
        **who,
        "scene": scene_record(spec),
        "seed": options.seed,
        "episode_seeds": "SeedSequence((seed, crc32(level), number))",
    }


def scene_record(spec: EnvSpec) -> dict[str, Any]:
    """Describe how tasks are shown and controlled, in the form of a suite's files."""
    record = spec.to_json()
    own = {} if spec.domain == "dmlab" else {"domain": spec.domain}
    plain = {name: value for name, value in record.items() if name not in ("domain", "look")}
    return {**own, **plain, **record["look"]}


def _weights_hash(folder: Path) -> str:
    """Compute the SHA-256 of all weights under a folder, or of a JSON file and those that it names; "" without any."""
    if folder.is_file() and folder.suffix == ".json":
        named = [value for value in json.loads(folder.read_bytes()).values() if isinstance(value, str)]
        parts = [folder.read_bytes(), *(_weights_hash(folder.parent / value).encode() for value in named)]
        return hashlib.sha256(b"".join(parts)).hexdigest()
    files = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
    hasher = hashlib.sha256()
    for path in files:
        hasher.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return hasher.hexdigest() if files else ""


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _play(
    wanted: list[Job],
    spec: EnvSpec,
    player: Player,
    options: Options,
    folder: Folder,
    console: Any,
    running: Running,
) -> None:
    jobs = folder.missing(wanted)
    compile_first(spec, console)
    videos = folder.path / "videos" if options.videos and not player.blind else None
    begun = running.saved(jobs, folder.holds, options.num_envs)
    if running.kept is not None:
        count, step = running.kept
        console.print(f"{count} episodes continue at step {step}, where they were stopped.", soft_wrap=True)
    others = [job for job in jobs if job not in set(begun)]
    size = options.num_envs or _side_by_side(len(jobs), spec, player)
    batches = [*([begun] if begun else []), *in_batches(others, spec, size)]
    say = partial(console.print, soft_wrap=True, highlight=False)
    adviser = adviser_for(options.adviser, spec, player)
    rows = Rows(wanted, folder.played, _title(player), spec.engine, spec.domain, say)
    with Progress(batches, spec, console, videos) as progress:
        watchers = (progress, TimeShares(folder.shares))
        for batch in batches:
            for played in play_batch(batch, spec, player, watchers, running, adviser):
                if not folder.holds(played.job):
                    folder.add(played)
                    rows.ended(played.job)
                progress.finished(played.job, played.steps)


def _side_by_side(count: int, spec: EnvSpec, player: Player) -> int:
    """Return how many environments play at once."""
    if spec.engine == "deepmind_lab":
        return os.cpu_count() or 1  # one process per environment
    limit = at_once(spec)
    if limit is not None or player.learned:
        return limit or MANY
    # only models need large batches; others play a small run in parts, so that a stop loses only a part of it
    return min(MANY, max(1, -(-count // PARTS)))


def _title(player: Player) -> str:
    """Return the policy's name in tables."""
    if not player.learned:
        return player.name
    own = player.bundle.lam.title
    return own if player.name == "flexlam" else f"{own} {player.name}"


def _video_expert(player: Player) -> str | None:
    """Return the expert whose video a bundle was trained on; None where there is none, or more than one."""
    experts = player.bundle.config.training.get("experts", []) if player.learned else []
    return str(experts[0]) if len(experts) == 1 else None


def results(folder: Folder, jobs: list[Job], options: Options, spec: EnvSpec, player: Player, console: Any) -> None:
    """Print and write the results of finished episodes."""
    played = [folder.played[job.level, job.budget, job.number] for job in jobs]
    name = _title(player)
    rows = [{"level": p.job.level, "budget": p.job.budget, "return": p.total} for p in played]
    columns = by_column(rows, name)
    summaries = {title: summarise(returns, spec.engine, spec.domain) for title, returns in columns.items()}
    if (video := _video_expert(player)) is not None:
        for title, returns in columns.items():
            summaries[title]["of_video"] = of_video(returns, spec.engine, video, spec.domain)
    where = engine_and_look(spec.engine, spec.textures)
    count = f"{options.episodes} episode{'s' if options.episodes > 1 else ''} per level"
    latency = {
        title: float(np.mean([p.milliseconds for p in played if p.job.budget == k]))
        for title, k in _keys(columns, played)
    }
    behaviour = {
        title: shares(found)
        for title, k in _keys(columns, played)
        if (found := [p.figures for p in played if p.job.budget == k and p.figures is not None])
    }
    timing = {"milliseconds_a_step_of_the_batch": latency, "seconds": folder.shares}
    folder.finish(jobs, summaries, timing, behaviour)
    print_summary(console, summaries, f"{name} on {where}, {count}, seed {options.seed}")
    for title, summary in summaries.items():
        if (own := summary.get("of_video")) and own["expert"] != "scripted":
            console.print(
                f"{title}: {interval(own['iqm'])} % of {own['expert']}, the expert of its video (interquartile mean); "
                f"mean of levels {interval(own['mean'])} %, minus random {interval(own['mean_minus_random'])} %.",
                soft_wrap=True,
            )
    print_behaviour(console, behaviour)
    for title, value in latency.items():
        codes = behaviour.get(title, {}).get("tokens")
        spent = "" if codes is None else f"{codes:.2f} codes per decision, "
        console.print(f"{title}: {spent}{value:.1f} ms per step of up to {max(p.batch for p in played)} environments.")
    if options.plots:
        from flexlam_rl.eval.suite.plots import draw_suite

        draw_suite(folder.path, summaries, f"{where}, {count}")
    console.print(
        f"Results are in {folder.path}. Returns on {spec.engine} say nothing about another engine.", soft_wrap=True
    )


def _keys(columns: dict[str, Any], played: list[Any]) -> list[tuple[str, int | str]]:
    budgets = list(dict.fromkeys(p.job.budget for p in played))
    return list(zip(columns, budgets, strict=True))


def main() -> int:
    """Run `python -m eval.suite`."""
    return run_command(Options, run, None, "python -m eval.suite")
