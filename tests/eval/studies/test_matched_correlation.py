"""Which figure goes with the outcome: made-up rows whose answer is known."""

import numpy as np
import pytest

from flexlam_rl.eval.studies.matched.correlation import correlate, correlation_page, correlations, spearman, within
from flexlam_rl.eval.studies.matched.plots import draw_correlations

BUDGETS = (1, 4, 16)


def made_up(figure_of, outcome_of, models=12):
    """Rows of an audit and of oracle codes, of some models at three budgets."""
    rows = []
    for model in range(models):
        for k in BUDGETS:
            about = {"model": f"m{model}", "seed": 0, "budget": k}
            rows.append({"layer": "audit", **about, "additivity": figure_of(model, k), "additivity_se": 0.0})
            outcome = {"iqm": outcome_of(model, k)}
            rows.append({"layer": "oracle", "labels": "narrow", "amount": 1, **about, **outcome})
    return rows


def test_rank_correlation_by_hand():
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 8, 9, 100])) == 1
    # ranks 1 2 3 4 and 2 1 4 3: 1 - 6 * 4 / (4 * 15)
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([5.0, 1, 9, 7])) == pytest.approx(0.6)
    assert spearman(np.array([1.0, 1, 2]), np.array([1.0, 3, 4])) == pytest.approx(0.8660254)
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))


def test_a_figure_that_orders_the_models_is_found():
    (row,) = correlations(made_up(lambda m, k: m**3, lambda m, k: 10 * m + k))
    assert (row["layer"], row["labels"], row["metric"], row["figure"]) == ("oracle", "narrow", "iqm", "additivity")
    assert row["within"] == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})
    assert (row["models"], row["rows"]) == (12, 36)
    assert "| oracle, iqm | narrow | 1 | additivity | +1.00 [+1.00, +1.00] | " in correlation_page([row])
    (row,) = correlations(made_up(lambda m, k: -m, lambda m, k: 10 * m + k))
    assert row["within"]["value"] == -1


def test_a_figure_that_only_tells_the_budget_predicts_nothing_at_equal_budgets():
    chance = np.random.default_rng(0).normal(size=(12, 17))
    (row,) = correlations(made_up(lambda m, k: k + 0.001 * chance[m, k], lambda m, k: 100 * k + m))
    assert row["pooled"]["value"] > 0.85
    assert row["within"]["low"] < 0 < row["within"]["high"]


def test_chance_has_an_interval_about_zero_that_is_as_wide_as_models_are_few():
    chance = np.random.default_rng(1)
    x, y = chance.normal(size=(2, 400))
    k = np.ones(400)
    many = correlate(x, y, k, list(range(400)))["within"]
    assert many["low"] < 0 < many["high"] and many["high"] - many["low"] == pytest.approx(4 / 20, rel=0.2)
    # the same number of rows, but of few models: a model's rows are resampled together
    of_model = np.repeat(chance.normal(size=(2, 10)), 40, axis=1)
    few = correlate(*(of_model + 0.01 * chance.normal(size=(2, 400))), k, list(np.repeat(range(10), 40)))["within"]
    assert few["high"] - few["low"] > 0.7
    assert correlate(x[:4], y[:4], k[:4], [0, 1, 2, 3]) is None


def test_rows_without_a_partner_are_left_out():
    rows = made_up(lambda m, k: m, lambda m, k: m)
    rows = [row for row in rows if not (row["layer"] == "audit" and row["model"] == "m3")]
    assert correlations(rows)[0]["models"] == 11
    assert correlations([row for row in rows if row["layer"] == "oracle"]) == []
    assert "No correlations yet" in correlation_page([])
    assert within(np.arange(4.0), np.arange(4.0), np.array([1, 1, 2, 2])) != 1  # two of a budget say nothing


def test_the_picture_has_a_panel_for_each_outcome(tmp_path):
    from PIL import Image

    sizes = []
    rows = made_up(lambda m, k: m**3, lambda m, k: 10 * m + k)
    for more in ([], [row | {"labels": "standard"} for row in rows if row["layer"] == "oracle"]):
        draw_correlations(correlations([*rows, *more]), tmp_path / "audit.png")
        sizes.append(Image.open(tmp_path / "audit.png").width)
    assert sizes[1] > 1.3 * sizes[0]


def test_groups_count_by_their_size():
    x, groups = np.array([1.0, 2, 3, 1, 2, 3, 4, 5, 9, 1]), np.array([0] * 3 + [1] * 5 + [2] * 2)
    y = np.array([1.0, 2, 3, 5, 4, 3, 2, 1, 1, 9])  # the last group is too small
    assert within(x, y, groups) == pytest.approx((3 * 1 - 5 * 1) / 8)
