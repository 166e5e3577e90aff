"""What every study does: keep results, continue, say what is left, and write nothing where only asked for a plan."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.clock import Clock, duration
from flexlam_rl.eval.studies.registry import STUDIES
from flexlam_rl.eval.studies.study import Study, StudyDefinition, StudyOptions, describe, run_study
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.progress import Pace
from flexlam_rl.utils.files import FolderLock

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Job:
    name: str
    kind: str = "model"


@dataclass(frozen=True)
class Config:
    size: int


class Toy:
    """A study that counts what it trains."""

    def __init__(self, out, names="abc", fails_at=None, size=1):
        self.trained, self.fails_at = [], fails_at
        self.study = Study(
            title="toy",
            jobs=[Job(name) for name in names],
            train=self.train,
            measure=lambda job: [{"name": job.name}],
            report=lambda: " ".join(sorted(path.stem for path in (out / "results").glob("*.json"))),
            out=out,
            config=Config(size),
            steps=lambda job: 100,
        )

    def train(self, job):
        if job.name == self.fails_at:
            raise KeyboardInterrupt
        self.trained.append(job.name)


def test_a_stopped_study_keeps_its_results_and_the_same_command_does_only_the_rest(tmp_path, capsys):
    first = Toy(tmp_path, fails_at="c")
    with pytest.raises(KeyboardInterrupt, match="the same command continues"):
        run_study(first.study)
    assert json.loads((tmp_path / "results/b.json").read_text()) == [{"name": "b"}]
    second = Toy(tmp_path)
    run_study(second.study)
    assert (first.trained, second.trained) == (["a", "b"], ["c"])
    assert capsys.readouterr().out.splitlines()[-1] == "a b c"
    longer = Toy(tmp_path, "abcd")
    run_study(longer.study)
    assert longer.trained == ["d"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_reports_take_a_tenth_of_the_time_at_most_and_none_is_missing_at_an_end(error, tmp_path, monkeypatch):
    now, pages = 0.0, []
    monkeypatch.setattr("flexlam_rl.eval.studies.study.time", SimpleNamespace(monotonic=lambda: now))
    toy = Toy(tmp_path, "abcdefghijklmnopqrstuvwxyz")
    train, report = toy.study.train, toy.study.report

    def trained(job):
        nonlocal now
        if job.name == "z":
            raise error
        train(job)
        now += 1.0

    def reported():
        nonlocal now
        pages.append(report())
        now += 0.5

    toy.study = replace(toy.study, train=trained, report=reported)
    with pytest.raises(error):
        run_study(toy.study)
    assert [page[-1] for page in pages] == ["a", "f", "k", "p", "u", "y"]


def test_another_studys_folder_is_refused_before_anything_is_trained(tmp_path):
    run_study(Toy(tmp_path).study)
    other = Toy(tmp_path, size=2)
    for act in (run_study, describe):
        with pytest.raises(TrainingError, match="size is 1 there and 2 here"):
            act(other.study)
    assert other.trained == []


def test_a_plan_says_what_is_left_and_writes_nothing(tmp_path):
    out = tmp_path / "study"
    assert "3 of 3 jobs left" in describe(Toy(out).study) and "not timed yet" in describe(Toy(out).study)
    assert not out.exists()
    run_study(Toy(out, "a").study)
    (out / "timing.json").write_text('{"model": [0.5, 1.5]}')
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    said = describe(Toy(out).study)
    assert "toy: 2 of 3 jobs left; about 3 min left for all; nothing was written." in said
    assert "  b: 100 steps, about 2 min" in said and "  a: " not in said
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_estimates_are_of_measured_seconds_and_say_at_least_where_a_kind_was_not_timed(tmp_path):
    left = [("a", "model", 100), ("b", "model", 100), ("c", "suite", 10)]
    clock = Clock(left, tmp_path / "timing.json", {})
    assert clock.words() == ""
    pace = Pace(100, {"save": 50})
    for step in range(1, 5):
        pace.step(step, 2.0)
    assert clock.noted("model", pace) and not clock.noted("model", pace)
    assert clock.words() == "at least 7 min left for all (suite not timed yet)"
    clock.done("a", "model", 100, 300.0)
    assert clock.words() == "at least 5 min left for all (suite not timed yet)"
    clock.done("b", "model", 100, 0.1)  # was finished before, and says nothing
    clock.done("c", "suite", 10, 7200.0)
    assert json.loads((tmp_path / "timing.json").read_text()) == {"model": [3.0], "suite": [720.0]}
    again = Clock(left, tmp_path / "timing.json", {})
    assert again.words() == "about 2.2 h left for all"
    guessed = Clock(left[:1], None, {"model": 36.0})
    assert (guessed.words(), guessed.origin()) == ("about 60 min left for all", "model as timed on another machine")


def test_durations_read_at_once():
    assert [duration(seconds) for seconds in (40, 720, 12240)] == ["40 s", "12 min", "3.4 h"]


def test_a_study_of_ones_own_is_found_by_name_and_run_by_the_command(tmp_path, capsys):
    @dataclass(frozen=True)
    class Options(StudyOptions):
        size: int = 1

    toys = []

    def plan(options):
        toys.append(Toy(tmp_path / "out", size=options.size))
        return toys[-1].study

    STUDIES.register("toy", StudyDefinition(Options, plan, "how toys train"))
    try:
        assert main(["study"]) == 0 and "how toys train" in capsys.readouterr().out
        assert main(["study", "toy", "--dry-run"]) == 0
        assert toys[-1].trained == [] and not (tmp_path / "out").exists()
        assert main(["study", "toy", "--size", "3"]) == 0
        assert toys[-1].trained == ["a", "b", "c"]
    finally:
        STUDIES.unregister("toy")
    capsys.readouterr()
    assert main(["study", "toys"]) == 2
    error = capsys.readouterr().err
    assert "Unknown study 'toys'" in error and "alignment" in error and error.count("\n") == 1


WAITING = """
import sys
from pathlib import Path
from tests.eval.studies.test_study import Toy, run_study
toy = Toy(Path(sys.argv[1]))
toy.study.needed = lambda job: job.name == "a"
run_study(toy.study)
print(toy.trained)
"""


def test_several_commands_share_the_jobs_of_a_study_and_wait_for_needed_ones(tmp_path, capsys):
    taken = {}
    for name in "ab":
        folder = tmp_path / "taken" / name
        folder.mkdir(parents=True)
        taken[name] = FolderLock(folder)
    other = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(3.0)  # a is needed, so it waits
        assert not (tmp_path / "results").exists()
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "a.json").write_text("[]")
        taken["a"].release()
        out, _ = other.communicate(timeout=30)
    finally:
        other.kill()
    assert out.splitlines()[-3:] == ["toy: another command is at work on b.", "a c", "['c']"]
    taken["b"].release()
    last = Toy(tmp_path)
    last.study.needed = lambda job: False
    run_study(last.study)
    assert last.trained == ["b"] and capsys.readouterr().out.splitlines()[-1] == "a b c"
