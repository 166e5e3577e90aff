"""The suite with budgets that are chosen: stopped and continued, counted, refused."""

import json
import signal

import pytest

from flexlam_rl.cli import main
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite.batches import Job, in_batches
from flexlam_rl.eval.suite.progress import Progress
from flexlam_rl.utils.budget_words import any_budgets
from flexlam_rl.utils.command_line import INTERRUPTED, WRONG_USE
from tests.eval.suite.test_running import LEVELS

LEVEL = LEVELS[0]

pytestmark = pytest.mark.usefixtures("short_episodes")


@pytest.fixture(scope="module")
def bundle(make_bundle_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite") / "bundle"
    return str(make_bundle_folder(folder, prior="factored", budget_head=True))


def play(out, bundle, budget, *more):
    given = ["--episodes", "1", "--no-plots", "--tasks", LEVEL, "--chunk", "2", "--adviser", "none", *more]
    return main(["suite", "--out", str(out), "--checkpoint", bundle, "--budget", budget, *given])


def test_a_chosen_budget_is_played_counted_and_continued(bundle, tmp_path, monkeypatch, capsys):
    budget = "auto:0.45:change"
    assert play(tmp_path / "whole", bundle, budget) == 0
    said = capsys.readouterr().out
    record = json.loads((tmp_path / "whole/results.json").read_text())
    tokens = {title: found["tokens"] for title, found in record["behaviour"].items()}
    assert set(tokens) == {f"FlexLAM@{budget}"} == set(record["summary"])
    assert 1 < tokens[f"FlexLAM@{budget}"] < 4
    assert f"FlexLAM@{budget}: {tokens[f'FlexLAM@{budget}']:.2f} codes per decision, " in " ".join(said.split())

    monkeypatch.setattr("flexlam_rl.eval.suite.running.EVERY", 1e9)  # saved on a stop alone
    stepped, count = Progress.stepped, 0

    def step(self, playing):
        nonlocal count
        stepped(self, playing)
        count += 1
        if count == 25:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "stepped", step)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert play(tmp_path / "stopped", bundle, budget) == INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    assert play(tmp_path / "stopped", bundle, budget) == 0
    assert "continue at step 25" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "stopped/results.json").read_bytes() == (tmp_path / "whole/results.json").read_bytes()


def test_lists_of_budgets_and_their_batches(bundle, tmp_path, capsys):
    assert any_budgets("4,auto,16,random:3", 16, True) == [4, 16, "auto:0.1", "random:3"]
    assert any_budgets("auto:0.12345678", 16, True) == ["auto:0.12345678"]  # as it was given
    jobs = [Job(LEVEL, budget, 0, 0) for budget in (4, "auto:0.1", 16, "auto:0.2")]
    batches = in_batches(jobs, find_domain("dmlab").resolve(EnvSpec()), 8)
    assert [[job.budget for job in batch] for batch in batches] == [[16, 4], ["auto:0.1"], ["auto:0.2"]]
    for budget, message in (
        ("auto:x", "The tolerance of budget 'auto:x' is 'x'"),
        ("auto,auto:0.1", "the same words twice"),
        ("random:17", "expected a mean of 1..4"),
        ("auto:0.1:best", "expected one of regressed, change, entropy"),
    ):
        assert play(tmp_path / "out", bundle, budget) == WRONG_USE
        assert message in capsys.readouterr().err
    assert play(tmp_path / "out", bundle, "auto", "--policy", "oracle") == WRONG_USE
    assert "the policy 'oracle' takes numbers only" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
