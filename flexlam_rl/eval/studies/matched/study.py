"""`flexlam study matched --layer LAYER --data DIR --out DIR`: test whether one FlexLAM matches Fixed-K models at their
budgets.

For each training seed, it trains FlexLAM (with the paper's uniform prefix lengths, and with half of them log-uniform),
Fixed-K models and the two-slot model with few codes, all on the same data and labels with the same number of steps. The
layers measure growing parts of a policy: the translator on the test split (`latents`); play with an expert's next step,
encoded and translated (`oracle`); play with the whole `chain` including a prior. They share the models of a folder.
Contrasts are named in a file before the first run, and the report evaluates exactly those, with the seed as the unit.
The layer `audit` examines each latent action model, and correlates its figures with the outcomes of the other layers.
See docs/matched.md.
"""

import functools
from pathlib import Path
from typing import Any

from flexlam_rl.eval.studies.matched import report, work
from flexlam_rl.eval.studies.matched.jobs import Job, all_jobs
from flexlam_rl.eval.studies.matched.options import Choice, Config, Options, chosen, named_contrasts
from flexlam_rl.eval.studies.study import Study, StudyDefinition
from flexlam_rl.utils.files import read_json


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options do not fit each other or the data.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.lam.health import load_transitions
    from flexlam_rl.eval.studies.clock import seconds_per_step
    from flexlam_rl.eval.studies.trained_models import only_choices

    choice, contrasts = chosen(options), named_contrasts(options)
    rollouts, test = open_rollouts(options.data, split="train"), open_rollouts(options.data, split="test")
    if "narrow" in choice.labels and options.narrow_task not in rollouts.levels:
        raise ValueError(
            f"the narrow labels' task {options.narrow_task!r} is not among the rollouts: {', '.join(rollouts.levels)}."
        )
    only_choices(test, "matched")
    _check_world(options, choice, rollouts)
    config = Config(
        options.preset, options.conditioning, options.prior, options.narrow_task, options.label_count,
        options.lam_steps, options.steps, options.translator_steps, options.held_out, options.pairs, options.episodes,
        options.tasks, options.suite_seed, (*rollouts.digests, *test.digests), tuple(dict(vars(c)) for c in contrasts),
    )  # fmt: skip

    if options.against is not None:
        _check_other(options.against, config)

    @functools.cache
    def held_out() -> Any:
        return load_transitions(test, options.held_out, seed=0, labelled=True).to(options.device)

    return Study(
        title="matched",
        jobs=list(all_jobs(choice)),
        train=lambda job: work.train(job, options),
        measure=lambda job: work.measure(job, options, held_out, choice.budgets),
        report=lambda: report.write(options.out, options.layer, contrasts, options.against),
        out=options.out,
        config=config,
        steps=lambda job: work.steps(job, options),
        guesses=seconds_per_step(options.preset, options.device),
    )


def _check_other(folder: Path, config: Config) -> None:
    """Refuse a study to compare with that differs in more than the length of its trainings.

    Raises:
        ValueError: The folder holds no study, or one that differs.
    """
    from flexlam_rl.train.identity import differences, resolved

    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"against is {folder}, which holds no study: there is no {path.name}.")
    for name, there, here in differences(read_json(path), resolved(config), config):
        if name not in ("lam_steps", "steps", "translator_steps"):
            raise ValueError(f"against is {folder}, whose {name} is {there!r}, and {here!r} here; expected the same.")


def _check_world(options: Options, choice: Choice, rollouts: Any) -> None:
    """Refuse a layer with play that cannot be played.

    Raises:
        ValueError: A task is unknown, or the rollouts are of another engine than litelab.
    """
    if choice.layer == "latents":
        return
    from flexlam_rl.envs.domain import find_domain

    for task in options.tasks:
        find_domain("dmlab").task(task)
    for store in rollouts.stores:
        if store.origin.engine != "litelab":
            raise ValueError(
                f"{store.path} was recorded in {store.origin.engine!r}; the layer {choice.layer!r} plays on 'litelab'."
            )


STUDY = StudyDefinition(Options, plan, "FlexLAM@K against Fixed-K models over seeds: latents, oracle codes, the chain")
run = STUDY.run
