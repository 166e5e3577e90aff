"""`flexlam study budgets BUNDLE... --data DIR --out DIR`: return against mean tokens.

For each bundle, one per training seed, the rules are ranked on recorded video by how often the action is that of all M
codes, at equal mean tokens. The best rule plays the suite at several tolerances, beside fixed budgets, and a random
budget of the same mean plays as its control. All codes play once more with past blocks cut at k*. A stopped command
continues.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tyro

from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.eval.studies.study import Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.eval.studies.tokens.report import read_rows, write_report
from flexlam_rl.eval.suite import command as suite
from flexlam_rl.eval.suite.results import RESULTS, read_results
from flexlam_rl.utils.budget_words import AutoBudget, RandomBudget, history_in_words
from flexlam_rl.utils.number_lists import number_list
from flexlam_rl.utils.numbers import real, whole


@dataclass(frozen=True)
class Options(StudyOptions):
    """Compare chosen budgets with fixed and random ones: agreement on video, and return in play, over mean tokens."""

    bundles: tyro.conf.Positional[tuple[str, ...]]
    """Folders of bundles with budget heads, one per training seed."""
    data: Path = field(kw_only=True)
    """Folder of rollouts; rules are ranked on their test split."""
    out: Path = field(kw_only=True)
    """Folder of rankings, suites and tables; the same command continues a stopped one in it."""
    tolerances: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Tolerances of the chosen budgets that play."""
    fixed: str = "1,2,4,8,16"
    """Fixed budgets that play."""
    rule: str | None = None
    """Rule that plays; None for the best one in the first bundle's ranking."""
    history: str | None = "auto:0.1"
    """Past blocks that all codes play with once more, as in `flexlam suite`, where the prior can see less than whole
    ones; None for whole ones only.
    """
    windows: int = 64
    """Number of recorded windows that rules are ranked on."""
    length: int = 40
    """Number of steps per window."""
    episodes: int = 20
    """Number of episodes per task."""
    tasks: tuple[str, ...] = SUITE
    """Tasks to play."""
    seed: int = 0
    """Seed of the windows and of all episodes."""
    chunk: int | None = None
    """Number of rows that the policy computes together, as in `flexlam suite`; a chunk takes as long as its longest
    row.
    """
    threads: int | None = None
    """Number of threads of the policy on a CPU; by default one per core."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range.
        """
        for name, low in (("windows", 1), ("length", 2), ("episodes", 1)):
            whole(getattr(self, name), name, low)
        for tolerance in self.tolerances:
            real(tolerance, "tolerance")
        if self.history is not None:
            history_in_words(self.history)
        if not self.bundles:
            raise ValueError("bundles is empty; name one bundle at least.")


@dataclass(frozen=True)
class Job:
    """A bundle's ranking ("ranking"), or a suite: of its fixed and chosen budgets ("suite"), of random ones ("random"),
    or of all codes with past blocks that are cut ("history").
    """

    number: int
    kind: str

    @property
    def name(self) -> str:
        """Name of the job."""
        return f"bundle{self.number}-{self.kind}"


@dataclass
class _Parts:
    """The functions that do the study's jobs."""

    options: Options

    @cached_property
    def bundles(self) -> list[Any]:
        """All bundles, loaded."""
        from flexlam_rl.agents.policy.bundle import load_bundle

        return [load_bundle(name, self.options.device) for name in self.options.bundles]

    def rank(self, job: Job) -> Rows:
        """Rank the rules of a bundle."""
        from flexlam_rl.datasets import open_rollouts
        from flexlam_rl.eval.studies.tokens.ranking import curves, watched_decisions
        from flexlam_rl.utils.progress import lasting_bar

        o = self.options
        with lasting_bar(job.name) as progress:
            seen = watched_decisions(
                self.bundles[job.number], open_rollouts(o.data, split="test"), o.windows, o.length, o.seed, progress
            )
        return curves(seen)

    @property
    def rule(self) -> str:
        """Name of the rule that plays."""
        from flexlam_rl.eval.studies.tokens.ranking import best_rule

        rows = read_rows(self.options.out / "results" / f"{Job(0, 'ranking').name}.json")
        slots = max(row["tokens"] for row in rows if row["rule"] == "fixed")
        return self.options.rule or best_rule(rows, tuple(k for k in (2.0, 4.0, 8.0) if k < slots))

    def budgets(self, job: Job) -> str:
        """Return the budgets that a suite plays."""
        if job.kind == "history":
            return str(self.bundles[job.number].slots)
        if job.kind == "suite":
            chosen = [str(AutoBudget(tolerance, self.rule)) for tolerance in self.options.tolerances]
            return ",".join([self.options.fixed, *chosen])
        behaviour = read_results(self.folder(Job(job.number, "suite")))["behaviour"]
        means = [found["tokens"] for title, found in behaviour.items() if "@auto" in title]
        return ",".join(dict.fromkeys(str(RandomBudget(round(mean, 2))) for mean in means))

    def play(self, job: Job) -> None:
        """Play a suite."""
        o = self.options
        suite.run(
            suite.Options(
                budget=self.budgets(job), checkpoint=o.bundles[job.number], tasks=o.tasks, episodes=o.episodes,
                seed=o.seed, device=o.device, chunk=o.chunk, threads=o.threads, out=self.folder(job),
                history=o.history if job.kind == "history" else None,
                adviser="none",  # its agreement is not reported, and it takes time at each step
            )
        )  # fmt: skip

    def folder(self, job: Job) -> Path:
        """Return the folder of a suite."""
        return self.options.out / "suites" / job.name

    def episodes(self, job: Job) -> int:
        """Return the length of a job: the number of episodes of a suite, or of steps of a ranking."""
        o = self.options
        if job.kind == "ranking":
            return o.windows * o.length
        columns = {"suite": len(o.fixed.split(",")) + len(o.tolerances), "random": len(o.tolerances), "history": 1}
        return columns[job.kind] * o.episodes * len(o.tasks)

    def finished(self, job: Job) -> bool:
        """Return whether a job is done."""
        if job.kind == "ranking":
            return (self.options.out / "results" / f"{job.name}.json").exists()
        folder = self.folder(job)
        if not (folder / RESULTS).is_file():
            return False
        rows = read_results(folder)["episodes"]
        wanted = self.budgets(job).split(",")
        count = self.options.episodes * len(self.options.tasks)
        return all(sum(str(row["budget"]) == one for row in rows) >= count for one in wanted)


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options do not fit the bundles.
        CheckpointError: A bundle cannot be used.
    """
    from flexlam_rl.agents.policy.bundle import folder_of, read_config
    from flexlam_rl.agents.policy.past_blocks import check_history
    from flexlam_rl.models.flexlam.factored.trunk import TimePrior

    slots = set()
    for name in options.bundles:
        folder = folder_of(name)
        read_config(folder)
        if options.rule not in (None, "entropy") and not (folder / "budget").is_dir():
            raise ValueError(
                f"rule is {options.rule!r}, but {name} has no budget head: train one with `flexlam train budget`."
            )
        slots.add(str(name))
    number_list("fixed", options.fixed, 1)
    if len(slots) < len(options.bundles):
        raise ValueError(f"bundles names one twice: {', '.join(options.bundles)}.")
    parts = _Parts(options)
    numbers = range(len(options.bundles))
    jobs = [Job(number, kind) for kind in ("ranking", "suite", "random") for number in numbers]
    if options.history is not None:
        for number, bundle in enumerate(parts.bundles):
            if isinstance(bundle.sequence, TimePrior):  # the other prior sees whole blocks only
                check_history(history_in_words(options.history), bundle.lam, bundle.sequence)
                jobs.append(Job(number, "history"))
    return Study(
        title="budgets",
        jobs=jobs,
        train=lambda job: None if job.kind == "ranking" else parts.play(job),
        measure=lambda job: parts.rank(job) if job.kind == "ranking" else None,
        report=lambda: write_report(options.out, len(options.bundles), parts.folder, Job, options.episodes),
        out=options.out,
        steps=parts.episodes,
        finished=parts.finished,
    )


STUDY = StudyDefinition(Options, plan, "return against mean tokens: chosen budgets beside fixed and random ones")
