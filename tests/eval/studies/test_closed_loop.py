"""From an alignment study to a table of returns at equal budgets, at debug size."""

import json

import pytest

from flexlam_rl.eval.studies import alignment, closed_loop
from flexlam_rl.utils.command_line import WRONG_USE
from flexlam_rl.utils.command_line import run as run_command
from tests.eval.conftest import write_rollouts

SHORT = "rooms_exploit_deferred_effects_train"


def command(module, *arguments: str) -> int:
    return run_command(module.Options, module.run, list(arguments), module.__name__)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_rollouts(
        tmp_path_factory.mktemp("data"), levels=(SHORT, "rooms_watermaze"), engine="litelab", textures="procedural"
    )


@pytest.fixture(scope="module")
def study(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    small = [
        "--preset",
        "debug",
        "--budgets",
        "1,4",
        "--seeds",
        "1",
        "--steps",
        "3",
        "--translator-steps",
        "4",
        "--label-count",
        "40",
    ]
    few = ["--narrow-task", "rooms_watermaze", "--held-out", "100"]
    assert command(alignment, "--data", str(data), "--out", str(out), *small, *few) == 0
    return out


def arguments(study, data, out, *more: str) -> list[str]:
    short = ["--budgets", "1,4", "--steps", "2", "--episodes", "1", "--levels", SHORT]
    return [str(study), "--data", str(data), "--out", str(out), *short, *more]


def test_models_are_trained_alike_played_at_equal_budgets_and_compared(study, data, tmp_path, capsys):
    out = tmp_path / "out"
    # one part of the models in one command, the rest in another, which then has all it needs for the tables
    assert command(closed_loop, *arguments(study, data, out, "--models", "fixed4,flexlam", "--labels", "standard")) == 0
    assert not (out / "standard").exists()
    weights = study / "runs/flexlam-seed0/sequence/best/sequence/model.safetensors"
    trained = weights.read_bytes()
    assert command(closed_loop, *arguments(study, data, out)) == 0
    assert weights.read_bytes() == trained
    for kind in ("standard", "narrow"):
        rows = json.loads((out / kind / "matched.json").read_text())
        assert [(row["aggregate"], row["budget"]) for row in rows] == [("iqm", 1), ("iqm", 4), ("mean", 1), ("mean", 4)]
        assert (
            len({row["flexlam_checkpoint"] for row in rows}) == 1
            and len({row["fixed_checkpoint"] for row in rows}) == 2
        )
        assert all(kind in row["labels"] for row in rows)
    loops = [
        json.loads((study / "runs" / f"{name}-seed0/sequence/config.json").read_text())["loop"]
        for name in ("flexlam", "fixed1", "fixed4")
    ]
    assert loops[0] == loops[1] == loops[2]
    assert command(closed_loop, *arguments(study, data, out, "--context", "3")) == WRONG_USE
    assert "context=3) is asked for" in capsys.readouterr().err
    # the two kinds of labels share the latent actions and the sequence model, not the translator
    bundles = [out / "bundles" / f"flexlam-seed0-{kind}" for kind in ("standard", "narrow")]
    for part, equal in (("lam", True), ("sequence", True), ("translator", False)):
        first, second = ((bundle / part / "model.safetensors").read_bytes() for bundle in bundles)
        assert (first == second) == equal, part


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--models", "fixed2"), "expected some of flexlam, fixed1, fixed4"),
        (("--labels", "few"), "expected some of standard, narrow"),
        (("--budgets", "1,2"), "the study has no such model yet"),
        (("--seed", "7"), "the study has no such model yet"),
    ],
)
def test_what_the_study_does_not_have_is_named(study, data, tmp_path, capsys, more, words):
    assert command(closed_loop, *arguments(study, data, tmp_path / "out", *more)) == WRONG_USE
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1


def test_a_folder_that_is_no_study_is_refused(data, tmp_path, capsys):
    assert command(closed_loop, *arguments(tmp_path, data, tmp_path / "out")) == WRONG_USE
    assert "is no folder of an alignment study" in capsys.readouterr().err
