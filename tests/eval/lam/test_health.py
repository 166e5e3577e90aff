"""The health report from the command line: what it writes, what it says of a useless model, what it refuses."""

import json
import shutil
from dataclasses import replace

import pytest

from flexlam_rl.cli import main
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_all, train_stage


@pytest.fixture(scope="module")
def args(rollouts, tmp_path_factory):
    args = TrainArgs(
        data=rollouts, out=tmp_path_factory.mktemp("run") / "flexlam", preset="debug", label_count=60, steps=2
    )
    train_all(args)
    return args


def health(run, data, out, *more):
    return main(["health", str(run), "--data", str(data), "--out", str(out), "--transitions", "60", *more])


@pytest.fixture(scope="module")
def report(args, tmp_path_factory):
    """Folder of a report."""
    out = tmp_path_factory.mktemp("health") / "report"
    assert health(args.out, args.data, out) == 0
    return out


def test_report_of_a_model_that_was_hardly_trained(report):
    figures = json.loads((report / "health.json").read_text())
    assert (figures["verdict"], figures["transitions"], figures["slots"]) == ("bad", 60, 4)
    cases = {(row["codes"], row["k"]) for row in figures["translation"]}
    row = figures["translation"][-1]
    assert row["recall"] == pytest.approx(sum(row["recalls"].values()) / len(row["recalls"]))
    assert "| recall of action | K = 1 |" in (report / "README.md").read_text()
    assert {name: shares[int(name)] for name, shares in row["confusion"].items()} == pytest.approx(row["recalls"])
    assert all(sum(shares) == pytest.approx(1.0) and len(shares) == 15 for shares in row["confusion"].values())
    assert "| action | decoded as, K = 1 | decoded as, K = 4 |" in (report / "README.md").read_text()
    assert cases == {
        ("null", 0),
        *((c, k) for c in ("codes", "shuffled", "random") for k in (1, 2, 4)),
    }
    assert len(figures["usage"]["perplexity"]) == len(figures["importance"]) == len(figures["gradient"]["by_slot"]) == 4
    page = (report / "README.md").read_text()
    assert page.startswith("# Health of flexlam: bad")
    for picture in ("curves.png", "slots.png", "sheet.png"):
        assert f"]({picture})" in page
        assert 1000 < (report / picture).stat().st_size < 200_000
    for check in figures["checks"]:
        assert check["name"] in page


def test_the_same_command_gives_the_same_figures(args, report, tmp_path, capsys):
    assert health(args.out, args.data, tmp_path / "again") == 0
    said = capsys.readouterr().out
    assert "verdict: bad" in said and "failure: codes carry nothing" in said
    first, again = (json.loads((out / "health.json").read_text()) for out in (report, tmp_path / "again"))
    assert {**first, "seconds": 0} == {**again, "seconds": 0}


def test_a_fixed_k_model_has_one_budget_and_no_null(args, tmp_path):
    fixed = replace(args, out=tmp_path / "fixed", fixed=2, levels=(5,))
    train_stage("lam", fixed)
    assert health(fixed.out, args.data, tmp_path / "report") == 0
    figures = json.loads((tmp_path / "report/health.json").read_text())
    assert {(row["codes"], row["k"]) for row in figures["reconstruction"]} == {
        ("codes", 2),
        ("shuffled", 2),
        ("random", 2),
    }
    assert "translation" not in figures
    assert all(check["name"] != "slots are not ordered" for check in figures["checks"])


def test_a_published_layout_and_a_lam_alone_are_read(args, tmp_path):
    shutil.copytree(args.out / "lam/best/lam", tmp_path / "published/lam")
    shutil.copytree(args.out / "translator/best/translator", tmp_path / "published/translator")
    assert health(tmp_path / "published", args.data, tmp_path / "a") == 0
    assert "translation" in json.loads((tmp_path / "a/health.json").read_text())
    assert health(tmp_path / "published/lam", args.data, tmp_path / "b") == 0
    assert "translation" not in json.loads((tmp_path / "b/health.json").read_text())


def test_action_free_video_is_reported_without_actions(args, video, tmp_path):
    assert health(args.out, video, tmp_path / "report") == 0
    figures = json.loads((tmp_path / "report/health.json").read_text())
    assert "probe" not in figures and figures["reconstruction"]
    assert "No actions are recorded" in (tmp_path / "report/README.md").read_text()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"run": "nowhere"}, "nowhere holds no lam"),
        ({"data": "nowhere"}, "nowhere holds no rollouts"),
        ({"more": ("--transitions", "3")}, "transitions is 3; at least 48 are needed"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(args, tmp_path, capsys, change, sentence):
    run, data = (
        tmp_path / change[name] if name in change else path for name, path in (("run", args.out), ("data", args.data))
    )
    assert health(run, data, tmp_path / "out", *change.get("more", ())) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("stage", "kind", "error"),
    [
        ("lapo", "ForwardLAM, 8 slots of one of 64 codes each (quantizer vq)", "squared error of the frame"),
        ("laom", "LAOM, 1 slot of 128 numbers each (quantizer identity)", "squared error of the features"),
    ],
)
def test_latent_action_models_of_other_papers_are_examined(args, tmp_path, stage, kind, error):
    run = ["--data", str(args.data), "--out", str(tmp_path / "run"), "--preset", "debug", "--steps", "2"]
    assert main(["train", stage, *run]) == 0
    assert main(["train", "translator", *run, "--label-count", "60"]) == 0
    assert health(tmp_path / "run", args.data, tmp_path / "report") == 0
    figures = json.loads((tmp_path / "report/health.json").read_text())
    page = (tmp_path / "report/README.md").read_text()
    assert kind in page and f"| codes | K | {error} |" in page
    pixels = stage == "lapo"
    assert (tmp_path / "report/sheet.png").exists() == pixels == ("psnr" in figures["reconstruction"][0])
    assert ("spread" in figures["usage"]) != pixels == ("perplexity" in figures["usage"])
    assert figures["verdict"] == "bad" and not figures["gradient"]["without"]
    assert {row["codes"] for row in figures["translation"]} == {"codes", "shuffled", "random"}
    assert {row["from"] for row in figures["probe"]} >= {"codes", "shuffled"}
