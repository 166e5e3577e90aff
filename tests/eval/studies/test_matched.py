"""The matched study: what its contrasts say of made-up rows, and every layer of it at debug size."""

import csv
import json

import pytest

from flexlam_rl.cli import main
from flexlam_rl.eval.studies.matched import work
from flexlam_rl.eval.studies.matched.contrasts import COMMITTED, Contrast, evaluate, read_contrasts
from flexlam_rl.eval.studies.matched.jobs import all_jobs
from flexlam_rl.eval.studies.matched.options import Options, chosen
from flexlam_rl.eval.studies.matched.report import markdown, summarise
from flexlam_rl.eval.studies.matched.variants import variant
from tests.eval.conftest import write_rollouts

SHORT = "rooms_exploit_deferred_effects_train"
ONE = Contrast("latents", "narrow", 4, "accuracy", "flexlam-mixed@4", "fixed4@4", 0.02)


def rows(model, budget, values, **changes):
    common = {"layer": "latents", "labels": "narrow", "amount": 4, "model": model, "title": model, "budget": budget}
    return [common | {"seed": seed, "accuracy": value} | changes for seed, value in enumerate(values)]


def judged(first, second, contrast=ONE):
    return evaluate(contrast, [*rows("flexlam-mixed", 4, first), *rows("fixed4", 4, second)])


def test_a_contrast_is_the_paired_difference_over_seeds():
    # seeds differ by 0.3, the models within each by 0.10, 0.11 and 0.12: half width 4.302653 * 0.01 / sqrt(3)
    found = judged([0.2, 0.51, 0.82], [0.1, 0.4, 0.7])
    assert found["difference"] == pytest.approx(0.11)
    assert (found["low"], found["high"]) == pytest.approx((0.11 - 0.0248414, 0.11 + 0.0248414))
    assert (found["verdict"], found["seeds"]) == ("ahead", [0, 1, 2])
    assert judged([0.1, 0.4, 0.7], [0.2, 0.51, 0.82])["verdict"] == "behind"
    assert judged([0.50, 0.50, 0.50], [0.499, 0.501, 0.50])["verdict"] == "no worse by more than 0.02"
    assert judged([0.5, 0.5, 0.5], [0.4, 0.6, 0.5])["verdict"] == "not told apart"


def test_too_few_seeds_and_other_settings_say_nothing():
    assert judged([0.9, 0.8], [0.1, 0.1])["verdict"] == "too few seeds (expected 3)"
    one = judged([0.9], [0.1])
    assert (one["low"], one["verdict"]) == (None, "too few seeds (expected 3)")
    assert judged([], [0.1])["verdict"] == "not measured yet"
    # a seed that only one of the two has is no difference
    assert judged([0.5, 0.5, 0.5, 0.9], [0.4, 0.4, 0.4])["seeds"] == [0, 1, 2]
    others = [
        row | {key: other}
        for key, other in (("labels", "standard"), ("amount", 1), ("layer", "oracle"), ("budget", 1), ("model", "x"))
        for row in rows("flexlam-mixed", 4, [1.0] * 3)
    ]
    assert evaluate(ONE, [*others, *rows("fixed4", 4, [0.0] * 3)])["verdict"] == "not measured yet"


def test_the_page_shows_contrasts_and_means_with_intervals():
    measured = [*rows("flexlam-mixed", 4, [0.2, 0.4]), *rows("fixed4", 4, [0.1, 0.3])]
    page = markdown(summarise(measured, ["accuracy"]), [evaluate(ONE, measured)], "latents")
    assert "| narrow labels x 4: flexlam-mixed@4 less fixed4@4, accuracy | +0.1 |" in page
    assert "| narrow | 4 | fixed4 | 4 | 0.2 ± 1.3 |" in page


def test_the_committed_contrasts_are_of_what_the_preset_measures():
    planned = {layer: chosen(Options(layer, *[COMMITTED] * 2)) for layer in ("latents", "oracle", "chain")}
    found = read_contrasts(COMMITTED)
    for contrast in found:
        cells = [
            (model.name, labels, amount, k)
            for model in planned[contrast.layer].models
            for labels, amount, budgets in planned[contrast.layer].cells(model)
            for k in budgets
        ]
        for side in (contrast.first, contrast.second):
            name, _, k = side.partition("@")
            assert (name, contrast.labels, contrast.amount, int(k)) in cells, contrast
    assert {(c.layer, c.labels) for c in found} == {(x, y) for x in planned for y in ("standard", "narrow")}


def test_seeds_are_finished_one_after_the_other():
    jobs = list(all_jobs(chosen(Options("chain", *[COMMITTED] * 2, seeds=2, first_seed=3))))
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs) and {job.seed for job in jobs} == {3, 4}
    assert [job.name for job in jobs[:4]] == [
        "flexlam-mixed-seed3-lam",
        "flexlam-mixed-seed3-sequence",
        "flexlam-mixed-seed3-standard-x16",
        "flexlam-mixed-seed3-standard-x16-chain",
    ]
    # narrow labels go through the whole chain at the largest budget alone
    assert {job.model.name for job in jobs if job.labels == "narrow"} == {"flexlam-mixed", "fixed16"}
    assert {job.budgets for job in jobs if job.part == "chain" and job.labels == "narrow"} == {(16,)}


def test_names_say_what_is_trained():
    assert variant("flexlam").lam_options()["prefix_distribution"] == "uniform"
    assert variant("flexlam64-mixed").lam_options() == {
        "fixed": None, "lam_slots": 64, "fsq_levels": None, "prefix_distribution": "mixed",
    }  # fmt: skip
    assert variant("fixed2-fsq5x3").lam_options() == {
        "fixed": 2, "lam_slots": None, "fsq_levels": (5, 3), "prefix_distribution": "uniform",
    }  # fmt: skip
    assert [variant(name).budgets([1, 4, 16]) for name in ("flexlam", "flexlam64", "fixed4")] == [
        [1, 4, 16],
        [1, 4, 16, 64],
        [4],
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    levels = (SHORT, "rooms_watermaze")
    return write_rollouts(tmp_path_factory.mktemp("data"), levels=levels, engine="litelab", textures="procedural")


@pytest.fixture(scope="module")
def contrasts(tmp_path_factory):
    path = tmp_path_factory.mktemp("contrasts") / "contrasts.json"
    named = [
        {"layer": layer, "labels": "standard", "amount": 2, "metric": metric, "first": "flexlam8-mixed@2",
         "second": "fixed2-fsq5@2", "margin": 1.0}
        for layer, metric in (("latents", "accuracy"), ("oracle", "iqm"), ("chain", "iqm"))
    ]  # fmt: skip
    path.write_text(json.dumps(named))
    return path


def arguments(layer, data, out, contrasts, *more):
    small = ["--preset", "debug", "--seeds", "1", "--budgets", "1,2", "--lam-steps", "2", "--steps", "2"]
    few = ["--translator-steps", "2", "--label-count", "20", "--amounts", "2", "--held-out", "64"]
    few += ["--pairs", "48", "--episodes", "1"]
    given = ["--data", str(data), "--out", str(out), "--contrasts", str(contrasts), "--tasks", SHORT]
    two = ["--labels", "standard", "--models", "flexlam8-mixed,fixed2-fsq5"]
    return ["study", "matched", "--layer", layer, *given, *small, *few, *two, *more]


@pytest.fixture(scope="module")
def study(data, contrasts, tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    assert main(arguments("latents", data, out, contrasts)) == 0
    for layer in ("oracle", "chain", "audit"):
        assert main(arguments(layer, data, out, contrasts, "--models", "fixed2-fsq5")) == 0
    return out


def test_every_layer_measures_its_columns_on_the_same_models(study):
    cases = {
        layer: {(r["model"], int(r["budget"])) for r in csv.DictReader((study / f"{layer}.csv").open())}
        for layer in ("latents", "oracle", "chain", "audit")
    }
    assert cases["oracle"] == cases["chain"] == cases["audit"] == {("fixed2-fsq5", 2)}
    assert cases["latents"] == {("fixed2-fsq5", 2), *(("flexlam8-mixed", k) for k in (0, 1, 2, 8))}
    lam = {run.name: json.loads((run / "lam/config.json").read_text()) for run in (study / "runs").iterdir()}
    assert {name: (c["model"]["slots"], c["model"]["prefix"]) for name, c in lam.items()} == {
        "flexlam8-mixed-seed0": (8, True),
        "fixed2-fsq5-seed0": (2, False),
    }
    assert lam["fixed2-fsq5-seed0"]["model"]["levels"] == [5]
    assert lam["flexlam8-mixed-seed0"]["prefix_distribution"] == "mixed"
    labels = {
        json.loads((run / "standard-x2/translator/config.json").read_text())["labels"]
        for run in (study / "runs").iterdir()
    }
    assert labels == {"matched-standard-40-seed0"}
    record = json.loads((study / "latents.json").read_text())
    first, second = (
        next(r for r in record["columns"] if (r["model"], r["budget"]) == (name, 2))
        for name in ("flexlam8-mixed", "fixed2-fsq5")
    )
    (contrast,) = record["contrasts"]
    assert contrast["difference"] == pytest.approx(first["accuracy"]["mean"] - second["accuracy"]["mean"])
    assert (study / "latents.png").stat().st_size > 1000
    # the return of a layer with play is that of its suite
    for layer, column in (("oracle", "Fixed-K oracle@2"), ("chain", "Fixed-K@2")):
        record = json.loads((study / f"{layer}.json").read_text())
        assert record["contrasts"][0]["verdict"] == "not measured yet"
        suite = json.loads((study / f"suites/fixed2-fsq5-seed0-standard-x2-{layer}/results.json").read_text())
        assert record["columns"][0]["iqm"]["mean"] == suite["summary"][column]["iqm"]["value"]
    assert "No correlations yet" in (study / "audit.md").read_text()
    assert not (study / "bundles/fixed2-fsq5-seed0-standard-x2-oracle/sequence").exists()


def test_a_finished_layer_is_not_run_again_and_other_contrasts_are_refused(study, data, contrasts, tmp_path, capsys):
    assert main(arguments("oracle", data, study, contrasts, "--models", "fixed2-fsq5")) == 0
    said = capsys.readouterr().out
    assert "job" not in said and "flexlam8-mixed@2 less fixed2-fsq5@2" in said
    other = tmp_path / "other.json"
    other.write_text(contrasts.read_text().replace("fixed2-fsq5@2", "flexlam8-mixed@1"))
    assert main(arguments("oracle", data, study, other)) == 2
    said = capsys.readouterr().err
    assert "contrasts[0].second is 'fixed2-fsq5@2' there and 'flexlam8-mixed@1' here" in said and said.count("\n") == 1


def test_contrasts_may_be_against_models_of_another_study_that_trained_for_longer(
    study, data, contrasts, tmp_path, capsys
):
    longer = arguments("latents", data, tmp_path, contrasts, "--models", "flexlam8-mixed", "--lam-steps", "3")
    assert main([*longer, "--against", str(study)]) == 0
    (found,) = json.loads((tmp_path / "latents-against.json").read_text())["contrasts"]
    first, second = (
        {(r["model"], r["budget"]): float(r["accuracy"]) for r in csv.DictReader((folder / "latents.csv").open())}
        for folder in (tmp_path, study)
    )
    assert found["difference"] == pytest.approx(first["flexlam8-mixed", "2"] - second["fixed2-fsq5", "2"])
    assert not (tmp_path / "latents.json").exists()
    capsys.readouterr()
    for more, words in (
        (["--held-out", "32", "--out", str(tmp_path / "other")], "whose held_out is 64, and 32 here"),
        (["--against", str(data)], "which holds no study"),
    ):
        assert main([*longer, "--against", str(study), *more]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1


def test_a_stopped_study_continues_to_the_same_rows(study, data, contrasts, tmp_path, monkeypatch, capsys):
    two = arguments("latents", data, tmp_path, contrasts)
    measure = work.measure
    for stop in ("flexlam8-mixed-seed0-standard-x2", "fixed2-fsq5-seed0-lam"):

        def stopped(job, *rest, stop=stop):
            if job.name == stop:
                raise KeyboardInterrupt
            return measure(job, *rest)

        monkeypatch.setattr(work, "measure", stopped)
        assert main(two) == 130
        assert "the same command continues" in capsys.readouterr().err
    monkeypatch.setattr(work, "measure", measure)
    assert main([*two, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "matched: 2 of 4 jobs left" in said and "fixed2-fsq5-seed0-lam: 2 steps" in said
    assert main(two) == 0
    for name in ("flexlam8-mixed-seed0-standard-x2", "fixed2-fsq5-seed0-standard-x2"):
        assert (tmp_path / f"results/{name}.json").read_bytes() == (study / f"results/{name}.json").read_bytes()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--models", "flexlam,fixed"], "models has 'fixed'; expected names as in"),
        (["--models", "fixed4-mixed"], "models has 'fixed4-mixed'"),
        (["--models", "flexlam,flexlam"], "models names a model twice"),
        (["--labels", "wide"], "labels has 'wide'"),
        (["--amounts", "0"], "amounts is 0; expected at least 1"),
        (["--budgets", "5"], "budgets is 5; expected 1..4"),
        (["--seeds", "0"], "seeds is 0; expected a whole number, 1 or more"),
        (["--tasks", "maze"], "maze"),
        (["--labels", "narrow", "--narrow-task", "gamma"], "task 'gamma' is not among the rollouts"),
        (["--contrasts", "nowhere.json"], "cannot be read as contrasts"),
    ],
)
def test_what_is_wrong_is_named_in_one_line_and_nothing_is_written(data, contrasts, tmp_path, capsys, more, words):
    out = tmp_path / "out"
    assert main(arguments("oracle", data, out, contrasts, *more)) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first": "fixed4@2"}, "Fixed-4 has no budget 2"),
        ({"first": "fixed4@4"}, "first and second are both 'fixed4@4'"),
        ({"metric": "accuracy"}, "metric is 'accuracy'; expected one of iqm, mean"),
        ({"layer": "deep"}, "layer is 'deep'"),
        ({"margin": -1.0}, "margin is -1.0"),
        ({"more": 1}, "expected an object with amount, first"),
    ],
)
def test_a_contrast_that_is_none_is_named(tmp_path, change, words):
    good = {"layer": "oracle", "labels": "narrow", "amount": 1, "metric": "iqm", "first": "flexlam@4"}
    good |= {"second": "fixed4@4", "margin": 1.0}
    path = tmp_path / "contrasts.json"
    path.write_text(json.dumps([good, good | change]))
    with pytest.raises(ValueError, match=words) as found:
        read_contrasts(path)
    assert "contrast 2" in str(found.value)
