"""Training, playing and measuring of each job of the study."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from flexlam_rl.eval.studies.alignment import FRACTIONS
from flexlam_rl.eval.studies.matched.jobs import Job
from flexlam_rl.eval.studies.matched.options import Options
from flexlam_rl.eval.studies.translator_rows import translator_rows
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.utils.files import read_json

AGGREGATES = ("iqm", "mean", "iqm_minus_random", "mean_minus_random")


def run_folder(job: Job, options: Options) -> Path:
    """Return the folder of a job's models, as `flexlam train` writes it."""
    return options.out / "runs" / job.run


def steps(job: Job, options: Options) -> int:
    """Return the length of a job: the number of steps of a training, or of episodes of play."""
    recipe = RECIPES[options.preset]
    if job.part == "LAM":
        return options.lam_steps or recipe.lam.steps
    if job.part == "sequence":
        return options.steps or recipe.prior(options.prior).steps
    if job.part == "translator":
        return options.translator_steps or recipe.translator.steps
    if job.part == "audit":
        return options.pairs * len(job.budgets)
    return options.episodes * len(options.tasks) * len(job.budgets)


def train(job: Job, options: Options) -> None:
    """Train a job, or continue it."""
    from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage

    if job.part in ("oracle", "chain", "audit"):
        return
    folder, length = run_folder(job, options), steps(job, options)
    args = TrainArgs(options.data, folder, preset=options.preset, seed=job.seed, device=options.device, steps=length)
    if job.part == "LAM":
        train_stage("lam", replace(args, cache=options.cache, **job.model.lam_options()))
    elif job.part == "sequence":
        train_stage("sequence", replace(args, prior=options.prior))
    else:
        share = FRACTIONS[job.labels] * job.amount
        count = None if options.label_count is None else options.label_count * job.amount
        aligned: dict[str, Any] = {
            "out": folder / job.aligned,
            "lam_run": folder,
            "conditioning": options.conditioning,
            # drawn once per seed, the same for all models
            "labels": f"matched-{job.labels}-{count or f'{share:.5f}'}-seed{job.seed}",
            "label_count": count,
            "label_fraction": share,
            "label_task": options.narrow_task if job.labels == "narrow" else None,
            "prefix_distribution": job.model.lam_options()["prefix_distribution"],
        }
        train_stage("translator", replace(args, **aligned))


def measure(job: Job, options: Options, held_out: Any, budgets: list[int]) -> list[dict[str, Any]]:
    """Measure a trained job, or let it play.

    Args:
        job: The job.
        options: Options of the study.
        held_out: Function that returns the test transitions.
        budgets: Values of K of FlexLAM in the study.

    Returns:
        Rows with part, model, seed, labels, amount and the figures.
    """
    common = {"layer": job.part, "model": job.model.name, "title": job.model.title, "seed": job.seed}
    folder = run_folder(job, options)
    if job.part in ("LAM", "sequence"):
        stage = job.part.lower()
        return [common | {"steps": steps(job, options)} | read_json(folder / stage / "best" / "metrics.json")]
    if job.part == "audit":
        return [common | row for row in _audited(job, options)]
    common |= {"labels": job.labels, "amount": job.amount}
    if job.part == "translator":
        counts = read_json(folder / job.aligned / "translator" / "config.json")
        about = {"layer": "latents", "label_set": counts["labels"]}
        wanted = job.model.budgets(budgets)
        if not job.model.fixed:
            wanted = [0, *wanted]
        return [
            common | about | row
            for row in translator_rows(folder, folder / job.aligned, held_out(), wanted, options.device)
        ]
    return [common | row for row in _played(job, options)]


def _audited(job: Job, options: Options) -> list[dict[str, Any]]:
    """Audit a job's latent action model, and return one row per budget."""
    from flexlam_rl.eval.lam.audit.examine import examine
    from flexlam_rl.eval.lam.audit.subjects import ModelSubject
    from flexlam_rl.eval.studies.trained_models import load_lam

    lam = load_lam(run_folder(job, options), options.device)
    subject = ModelSubject(lam, list(job.budgets), options.device)
    return examine(subject, _walks(options.data, options.tasks, options.pairs), moved=512)


@functools.lru_cache(1)
def _walks(data: Path, tasks: tuple[str, ...], pairs: int) -> Any:
    """Play walks in the look of the rollouts; they are the same for all models."""
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.envs.spec import EnvSpec
    from flexlam_rl.eval.lam.audit.walks import walks

    store = open_rollouts(data, split="test").stores[0]
    height, width, _ = map(int, store.frames.row)
    spec = EnvSpec(engine="litelab", width=width, height=height).with_look(textures=store.origin.textures)
    return walks(find_domain("dmlab").resolve(spec), tasks, pairs)


def _played(job: Job, options: Options) -> list[dict[str, Any]]:
    """Bundle a job's models, let them play the suite, and return one row per budget."""
    import torch

    from flexlam_rl.agents.policy.bundling import make_bundle
    from flexlam_rl.eval.suite import command as suite
    from flexlam_rl.eval.suite.command import CPU_CHUNK
    from flexlam_rl.eval.suite.options import Options as SuiteOptions
    from flexlam_rl.eval.suite.results import read_results

    folder, bundle, out = (
        run_folder(job, options), options.out / "bundles" / job.name, options.out / "suites" / job.name
    )  # fmt: skip
    if not bundle.is_dir():
        make_bundle(folder, bundle, [options.data], aligned=folder / job.aligned, prior=job.part == "chain")
    play = SuiteOptions(
        policy="oracle" if job.part == "oracle" else "flexlam",
        budget=",".join(map(str, job.budgets)),
        checkpoint=str(bundle),
        tasks=options.tasks,
        episodes=options.episodes,
        engine="litelab",
        seed=options.suite_seed,
        adviser="none",
        device=options.device,
        chunk=min(CPU_CHUNK, steps(job, options)),  # without rows that are only padding
        threads=options.threads,
        out=out,
        plots=False,
    )
    threads = torch.get_num_threads()
    try:
        suite.run(play)
    finally:
        torch.set_num_threads(threads)  # restores the threads that the suite has changed, for later trainings
    rows = []
    for title, summary in read_results(out)["summary"].items():
        found = {name: summary[name]["value"] for name in AGGREGATES if summary.get(name)}
        levels = {level: row["mean"] for level, row in summary["levels"].items()}
        episodes = sum(row["episodes"] for row in summary["levels"].values())
        rows.append({"budget": int(title.partition("@")[2]), **found, "episodes": episodes, "levels": levels})
    return rows
